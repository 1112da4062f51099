"""What the other backends share: they are held to the file's own list of pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import SourceError
from streamdyn.sources.access import Clip
from streamdyn.sources.container import Input
from streamdyn.sources.decoder import Decoder
from streamdyn.sources.pictures import list_pictures
from streamdyn.sources.pixels import orientation_of
from streamdyn.sources.report import SourceReport
from streamdyn.sources.track import open_track
from streamdyn.types import Frame


class CheckedClip(Clip):
    """A clip that another library decodes. It gives the same frames as PyAV, or refuses the file.

    Raises:
        SourceError: the file cannot be read; or it is mirrored, or has open groups of pictures,
            which the other libraries do not mind.
    """

    backend: str

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._size = self._upright_size(Input.of_file(path))
        index = list_pictures(Input.of_file(path))
        if index.overlapping:
            raise self._refusal("seeks wrongly where groups of pictures overlap, as in this file")
        self.times = index.times

    @abstractmethod
    def _images(self, indices: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """Yield the pictures (H, W, 3), in RGB and upright, of increasing indices."""

    def _read(self, indices: Sequence[int]) -> Iterator[Frame]:
        for index, image in zip(indices, self._images(indices), strict=True):
            if image.shape != (*self._size, 3):
                raise self._refusal("turns its pictures wrongly")
            yield Frame.from_image(
                image, index=index, pts_seconds=float(self.times[index]), stream=self._name
            )

    def _refusal(self, why: str = "sees other frames in it than there are") -> SourceError:
        return SourceError(f"{self.backend} {why}: {self._path}; use the backend 'pyav'")

    def _upright_size(self, source: Input) -> tuple[int, int]:
        with open_track(source) as track:
            frame = next(Decoder(track, SourceReport()).frames(), None)
            if frame is None:
                raise self._refusal("cannot decode this file, nor can another library")
            orientation = orientation_of(frame)
            if orientation.mirrored:
                raise self._refusal("does not mirror pictures as this file asks")
            return orientation.size(frame.height, frame.width)
