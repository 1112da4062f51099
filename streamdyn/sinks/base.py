"""What a sink is, and what the sinks that write files share."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from streamdyn.errors import SinkError
from streamdyn.types import Frame, Prediction, Result

T = TypeVar("T")


class Sink(Protocol):
    """Takes the predictions of one stream, in order. Inherit from it, or have its methods.

    As a context manager it closes itself.

    Raises:
        SinkError: from any method of a sink that writes a file: it cannot be written.
    """

    # Whether it reads pixels. A sink that does not may be given frames that have none.
    wants_frame: bool = True

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        """Take a prediction, and the frame it is about."""

    def close(self) -> None:
        """Write what is left. Must be harmless when called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Callback(Sink):
    """Hands each prediction and its frame to a function."""

    def __init__(self, function: Callable[[Prediction, Frame], object]) -> None:
        self.function = function

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        self.function(prediction, frame)

    def close(self) -> None:
        """Nothing is left to do."""


class Once(Generic[T]):
    """Converts results, each once: that of a reused frame is the very object seen before."""

    def __init__(self, convert: Callable[[Result], T]) -> None:
        self._convert = convert
        self._last: tuple[Result, T] | None = None

    def __call__(self, result: Result) -> T:
        if self._last is None or self._last[0] is not result:
            self._last = result, self._convert(result)
        return self._last[1]


class LineFile:
    """A text file that grows by entries of one or more lines, about once a second.

    A disk that is full leaves no part of an entry behind. The system may cut off a write when it
    kills the process; reading leaves out a last line that does not end.
    """

    SECONDS = 1.0  # that an entry waits at most, while others come
    BYTES = 1 << 20  # that wait at most

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._written_bytes = 0
        self._written_at = monotonic()
        with writing(path):
            # Unbuffered, for a buffer would be written out in the middle of a line.
            self._file = path.open("wb", buffering=0)

    def write(self, lines: str) -> None:
        """Add an entry, which ends in a line break."""
        # A lone surrogate, as in a file name that is not UTF-8, becomes its JSON escape.
        entry = lines.encode("utf-8", "backslashreplace")
        self._waiting.append(entry)
        self._waiting_bytes += len(entry)
        if self._waiting_bytes > self.BYTES or monotonic() - self._written_at > self.SECONDS:
            self._flush()

    def close(self) -> None:
        """Write the entries that wait."""
        try:
            if self._waiting:
                self._flush()
        finally:
            self._file.close()

    def _flush(self) -> None:
        entries, self._waiting, self._waiting_bytes = self._waiting, [], 0
        data, done = memoryview(b"".join(entries)), 0
        with writing(self.path):
            try:
                while done < len(data):
                    done += self._file.write(data[done:])
            except OSError:
                ends = accumulate(map(len, entries), initial=0)
                whole = max(end for end in ends if end <= done)
                with suppress(OSError):
                    self._file.truncate(self._written_bytes + whole)
                raise
        self._written_bytes += done
        self._written_at = monotonic()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the errors of the system into a SinkError that names the file and the remedy."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error.errno, str(error)) from None


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are missing.

    Raises:
        SinkError: it cannot be made.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def unwritable(path: Path, number: int | None, reason: str) -> SinkError:
    """The error for a file that cannot be written, by the system's number for why."""
    match number:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            remedy = "; make room, or choose another folder"
        case errno.EACCES | errno.EPERM | errno.EROFS | errno.ENOTDIR | errno.EISDIR:
            remedy = "; choose another folder"
        case _:
            remedy = ""
    return SinkError(f"cannot write {path}: {os.strerror(number) if number else reason}{remedy}")


def one_task(path: Path, holds: str, given: str) -> SinkError:
    """The error for a result that does not fit the columns of a file."""
    return SinkError(
        f"{path} has the columns of {holds}, and cannot take a result of {given}; "
        "save as JSON lines, or each task to its own file"
    )
