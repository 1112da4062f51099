"""Live streams: drain the camera at its own pace, and hand over the newest frame."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from time import monotonic, sleep, time

from streamdyn.errors import SourceError
from streamdyn.sources.report import SourceReport
from streamdyn.sources.selection import Picture
from streamdyn.sources.stopping import Stop
from streamdyn.types import Frame

_CLOSE_SECONDS = 1.0  # how long to wait for a reader that hangs in the decoder
_LONGEST_PAUSE = 5.0  # seconds between two pictures; a longer one is a jump in their times


class Reader(threading.Thread):
    """Reads frames on and on, and holds one: the newest that nobody took yet.

    Args:
        timeout_seconds: how long a picture may take to come.
        stop: ends the reading from outside.
    """

    def __init__(
        self, frames: Generator[Frame], report: SourceReport, timeout_seconds: float, stop: Stop
    ) -> None:
        super().__init__(name="streamdyn-live", daemon=True)
        self._frames = frames
        self._report = report
        self._timeout_seconds = timeout_seconds
        self._stop_signal = stop
        self._changed = stop.changed
        self._frame: Frame | None = None
        self._error: Exception | None = None
        self._done = False
        self._closed_at: float | None = None

    @property
    def stuck(self) -> bool:
        """Whether it still reads long after it was closed: it hangs where nothing can end it."""
        if self._closed_at is None or not self.is_alive():
            return False
        # FFmpeg has a deadline for opening and one for each read; then the reader should return.
        return monotonic() - self._closed_at > 2 * self._timeout_seconds + _LONGEST_PAUSE

    def newest(self, url: str, skip_seconds: float = 0.0) -> Generator[Frame]:
        """Yield the newest frame whenever the consumer asks.

        The deadline holds from outside: a read that never returns cannot hold up the consumer.

        Args:
            skip_seconds: of the stream, that are left out at its beginning.

        Raises:
            SourceError: no picture came in time, or the reading failed.
        """
        self.start()
        patience = skip_seconds + 2 * self._timeout_seconds  # to open, and to read the first
        try:
            while not self._stop_signal.is_set:
                decoded = self._report.decoded
                if self._wait(patience):
                    frame = self._take()
                    if frame is None:
                        return
                    yield frame
                    patience = self._timeout_seconds
                elif decoded == self._report.decoded:
                    raise SourceError(
                        f"{url} stalled: no frame came for {patience:g} s; look whether the camera "
                        "is on and the network up, or allow it a longer timeout",
                        "stalled",
                    )
        finally:
            self._close()

    def run(self) -> None:
        try:
            with closing(self._frames):
                for frame in self._frames:
                    frame.captured_at = time()
                    if not self._put(frame):
                        break
        except Exception as error:  # handed to the consumer, who raises it
            self._error = error
        with self._changed:
            self._done = True
            self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            closed = self._closed_at is not None
            self._report.dropped += closed or self._frame is not None
            self._frame = None if closed else frame
            self._report.waiting = int(not closed)
            self._changed.notify_all()
            return not closed

    def _wait(self, timeout_seconds: float) -> bool:
        """Wait until there is a frame, or no more will come; False if neither was in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._frame is not None or self._done or self._stop_signal.is_set,
                timeout_seconds,
            )

    def _take(self) -> Frame | None:
        """The newest frame; None when no more will come."""
        with self._changed:
            frame, self._frame = self._frame, None
            self._report.waiting = 0
        if frame is None and self._error is not None:
            raise self._error
        return frame

    def _close(self) -> None:
        """Stop reading. A frame that nobody took counts as dropped."""
        with self._changed:
            self._closed_at = monotonic()
            self._report.dropped += self._frame is not None
            self._frame = None
            self._report.waiting = 0
        self.join(_CLOSE_SECONDS)


def paced(pictures: Generator[Picture]) -> Generator[Picture]:
    """Let a recording, or what comes in bursts, run like a camera: no picture before its time."""
    start: float | None = None
    with closing(pictures):
        for picture in pictures:
            now = monotonic()
            if start is None or start + picture.pts_seconds - now > _LONGEST_PAUSE:
                start = now - picture.pts_seconds
            sleep(max(start + picture.pts_seconds - now, 0.0))
            yield picture
