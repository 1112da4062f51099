"""Random access with decord, which is fast but no longer maintained: it may hang on damage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import SourceError
from streamdyn.sources.access import Clip, import_backend
from streamdyn.sources.container import Input
from streamdyn.sources.pictures import list_pictures
from streamdyn.types import Frame


def open_backend(path: Path, name: str) -> Clip:
    """Open a video file with decord.

    Raises:
        SourceError: decord is missing, cannot read the file, or sees other frames in it.
    """
    decord = import_backend("decord")
    times = list_pictures(Input.of_file(path)).times
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        seen = reader.get_frame_timestamp(range(len(reader)))[:, 0].astype(np.float64)
    except decord.DECORDError:
        raise SourceError(f"decord cannot read {path}; use the backend 'pyav'") from None
    # Its times are 32-bit floats that count from the first frame.
    same = len(seen) == len(times) and np.allclose(
        seen - seen[0], times - times[0], rtol=1e-6, atol=1e-3
    )
    if not same:
        raise SourceError(
            f"decord sees other frames in {path} than there are; use the backend 'pyav'"
        )
    return _DecordClip(path, decord, reader, times, name)


class _DecordClip(Clip):
    def __init__(
        self,
        path: Path,
        decord: ModuleType,
        reader: Any,
        times: NDArray[np.float64],
        name: str,
    ) -> None:
        self._path = path
        self._decord = decord
        self._reader = reader
        self._name = name
        self.times = times

    def _read(self, indices: Sequence[int]) -> Iterator[Frame]:
        for index in indices:
            try:
                image = self._reader[index].asnumpy()
            except self._decord.DECORDError:
                raise SourceError(
                    f"decord cannot decode {self._path}; use the backend 'pyav'"
                ) from None
            yield Frame.from_image(
                image,
                index=index,
                pts_seconds=float(self.times[index]),
                stream=self._name,
            )
