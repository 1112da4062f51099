"""Random access with decord, which is fast but no longer maintained: it may hang on damage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamdyn.sources.access import import_backend
from streamdyn.sources.access_checked import CheckedClip


def open_backend(path: Path, name: str) -> DecordClip:
    """Open a video file with decord."""
    return DecordClip(path, name)


class DecordClip(CheckedClip):
    backend = "decord"

    def __init__(self, path: Path, name: str) -> None:
        self._decord = import_backend("decord")
        super().__init__(path, name)
        try:
            self._reader = self._decord.VideoReader(str(path), num_threads=1)
            seen = self._reader.get_frame_timestamp(range(len(self._reader)))[:, 0]
        except self._decord.DECORDError:
            raise self._refusal("cannot read this file") from None
        # Its times are 32-bit floats, and count from the first frame.
        times = self.times - self.times[0]
        if len(seen) != len(times) or not np.allclose(seen - seen[0], times, 1e-6, 1e-3):
            raise self._refusal()

    def _images(self, indices: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        for index in indices:
            try:
                yield self._reader[index].asnumpy()
            except self._decord.DECORDError:
                raise self._refusal("cannot decode this file") from None
