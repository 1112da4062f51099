"""Take over the configuration when its file is edited."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Self

from streamdyn.errors import redact
from streamdyn.serve.config import Config
from streamdyn.serve.control import Changes
from streamdyn.serve.document import ConfigError

_Version = tuple[int, int, int]  # when it was written, its size, and which file it is


class Watch:
    """Looks at the file once a second. An edit that has a mistake is reported, and changes nothing.

    Args:
        apply: takes over what was read.
        tell: hears what came of it.
    """

    def __init__(
        self,
        path: Path,
        apply: Callable[[Config], Changes],
        tell: Callable[[str], None],
        seconds: float = 1.0,
    ) -> None:
        self._path = path
        self._apply = apply
        self._tell = tell
        self._seconds = seconds
        self._version = self._seen = _version(path)
        self._over = Event()
        self._thread = Thread(target=self._keep, name="configuration", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._over.wait(self._seconds):
            self.look()

    def look(self) -> None:
        """Take the file over if it was edited, and is as it was at the last look.

        An editor may empty the file before it writes it, or take it away: half of it must not
        stop the streams of the other half.
        """
        version = _version(self._path)
        if version is not None and version == self._seen and version != self._version:
            self._version = version
            self._take_over()
        self._seen = version

    def _take_over(self) -> None:
        try:
            changes = self._apply(Config.read(self._path))
        except ConfigError as error:
            self._tell(f"{error}\n{self._path} was not taken over; all goes on as before")
        except Exception as error:  # of whoever runs the streams; the next edit must be heard
            self._tell(redact(f"{self._path} was not taken over whole: {error!r}"))
        else:
            self._tell(f"{self._path}: {changes}")


def _version(path: Path) -> _Version | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
