"""Random access with torchcodec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import SourceError
from streamdyn.sources.access import Clip, import_backend
from streamdyn.sources.container import Input
from streamdyn.sources.pictures import list_pictures
from streamdyn.types import Frame

_BATCH = 32  # frames held at once


def open_backend(path: Path, name: str) -> Clip:
    """Open a video file with torchcodec.

    Raises:
        SourceError: torchcodec is missing, cannot read the file, or sees other frames in it.
    """
    decoders = import_backend("torchcodec.decoders")
    times = list_pictures(Input.of_file(path)).times
    try:
        decoder = decoders.VideoDecoder(str(path), dimension_order="NHWC")
    except (RuntimeError, ValueError):
        raise SourceError(f"torchcodec cannot read {path}; use the backend 'pyav'") from None
    if len(decoder) != len(times):
        raise _other_frames(path)
    return _TorchCodecClip(path, decoder, times, name)


class _TorchCodecClip(Clip):
    def __init__(self, path: Path, decoder: Any, times: NDArray[np.float64], name: str) -> None:
        self._path = path
        self._decoder = decoder
        self._name = name
        self.times = times

    def _read(self, indices: Sequence[int]) -> Iterator[Frame]:
        for first in range(0, len(indices), _BATCH):
            batch = indices[first : first + _BATCH]
            try:
                frames = self._decoder.get_frames_at(list(batch))
            except RuntimeError:
                raise SourceError(
                    f"torchcodec cannot decode {self._path}; use the backend 'pyav'"
                ) from None
            times = self.times[list(batch)]
            if not np.allclose(frames.pts_seconds.numpy(), times, rtol=0, atol=1e-6):
                raise _other_frames(self._path)
            for index, image in zip(batch, frames.data.numpy(), strict=True):
                yield Frame.from_image(
                    image, index=index, pts_seconds=float(self.times[index]), stream=self._name
                )


def _other_frames(path: Path) -> SourceError:
    return SourceError(
        f"torchcodec sees other frames in {path} than there are; use the backend 'pyav'"
    )
