"""How old results are when they have left."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from time import time

from streamdyn.errors import StreamdynError
from streamdyn.sinks import Sink
from streamdyn.summary import Histogram
from streamdyn.types import Frame, Prediction


class Ages:
    """The ages of all results of some live streams, from when each frame was decoded until its
    result was handed to a sink. Given to `save`, it makes a sink for each stream."""

    def __init__(self) -> None:
        self._histogram = Histogram()
        self._lock = Lock()

    def __call__(self, folder: Path) -> Sink:
        return _AgeSink(self)

    def add(self, seconds: float) -> None:
        """Count a result."""
        with self._lock:
            self._histogram.add(seconds)

    def clear(self) -> None:
        """Forget all results so far."""
        with self._lock:
            self._histogram = Histogram()

    def quantile(self, fraction: float) -> float:
        """The age in seconds that such a fraction of the results do not exceed.

        Raises:
            StreamdynError: no result of a live stream came.
        """
        with self._lock:
            found = self._histogram.quantile(fraction)
        if found is None:
            raise StreamdynError("no live result came whose age could be told")
        return found


class _AgeSink(Sink):
    wants_frame = False

    def __init__(self, ages: Ages) -> None:
        self._ages = ages

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        if frame.captured_at is not None:
            self._ages.add(time() - frame.captured_at)

    def close(self) -> None:
        """There is nothing to write."""
