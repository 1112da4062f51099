"""Random access with torchcodec, which brings no FFmpeg: it uses that of the system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamdyn.sources.access import import_backend
from streamdyn.sources.access_checked import CheckedClip

_BATCH = 32  # frames held at once


def open_backend(path: Path, name: str) -> TorchCodecClip:
    """Open a video file with torchcodec."""
    return TorchCodecClip(path, name)


class TorchCodecClip(CheckedClip):
    backend = "torchcodec"

    def __init__(self, path: Path, name: str) -> None:
        decoders = import_backend("torchcodec.decoders")
        super().__init__(path, name)
        try:
            self._decoder = decoders.VideoDecoder(str(path), dimension_order="NHWC")
        except (RuntimeError, ValueError):
            raise self._refusal("cannot read this file") from None
        if len(self._decoder) != len(self):
            raise self._refusal()

    def _images(self, indices: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        for first in range(0, len(indices), _BATCH):
            batch = list(indices[first : first + _BATCH])
            try:
                frames = self._decoder.get_frames_at(batch)
            except RuntimeError:
                raise self._refusal("cannot decode this file") from None
            if not np.allclose(frames.pts_seconds.numpy(), self.times[batch], 0, 1e-6):
                raise self._refusal()
            yield from frames.data.numpy()
