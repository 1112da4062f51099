"""Live streams: drain the camera at its own pace, and hand over the newest frame."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from time import monotonic, sleep

from streamdyn.errors import SourceError
from streamdyn.sources.report import SourceReport
from streamdyn.types import Frame

_CLOSE_SECONDS = 1.0  # how long to wait for a reader that hangs in the decoder


def newest(
    frames: Generator[Frame], report: SourceReport, timeout_seconds: float, url: str
) -> Generator[Frame]:
    """Read `frames` in a thread of its own, and yield the newest whenever the consumer asks.

    The deadline holds from outside: a read that never returns cannot hold up the consumer.

    Raises:
        SourceError: no frame came for `timeout_seconds`, or the reading failed.
    """
    reader = _Reader(frames, report)
    reader.start()
    try:
        while reader.wait(timeout_seconds):
            frame = reader.take()
            if frame is None:
                return
            yield frame
        raise SourceError(
            f"{url} stalled: no frame came for {timeout_seconds:g} s; look whether the camera is "
            "on and the network up, or allow it a longer timeout"
        )
    finally:
        reader.close()


def paced(frames: Generator[Frame]) -> Generator[Frame]:
    """Let a recording, or what comes in bursts, run like a camera: no frame before its time."""
    start: float | None = None
    with closing(frames):
        for frame in frames:
            if start is None:
                start = monotonic() - frame.pts_seconds
            sleep(max(start + frame.pts_seconds - monotonic(), 0.0))
            yield frame


class _Reader(threading.Thread):
    """Holds one frame: the newest that nobody took yet."""

    def __init__(self, frames: Generator[Frame], report: SourceReport) -> None:
        super().__init__(name="streamdyn-live", daemon=True)
        self._frames = frames
        self._report = report
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._error: Exception | None = None
        self._done = False
        self._closing = False

    def run(self) -> None:
        try:
            with closing(self._frames):
                for frame in self._frames:
                    if not self._put(frame):
                        break
        except Exception as error:  # handed to the consumer, who raises it
            self._error = error
        with self._changed:
            self._done = True
            self._changed.notify()

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            self._report.dropped += self._closing or self._frame is not None
            self._frame = None if self._closing else frame
            self._changed.notify()
            return not self._closing

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until there is a frame, or the stream has ended; False if neither came in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._frame is not None or self._done, timeout_seconds
            )

    def take(self) -> Frame | None:
        """The newest frame; None when the stream has ended."""
        with self._changed:
            frame, self._frame = self._frame, None
        if frame is None and self._error is not None:
            raise self._error
        return frame

    def close(self) -> None:
        """Stop reading. A frame that nobody took counts as dropped."""
        with self._changed:
            self._closing = True
            self._report.dropped += self._frame is not None
            self._frame = None
        self.join(_CLOSE_SECONDS)
