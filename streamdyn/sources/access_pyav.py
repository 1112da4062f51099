"""Random access with PyAV."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import repeat
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamdyn.errors import SourceError
from streamdyn.sources.access import Clip
from streamdyn.sources.container import Input
from streamdyn.sources.decoder import open_decoder
from streamdyn.sources.pictures import list_pictures
from streamdyn.sources.pixels import DecodedPixels, orientation_of
from streamdyn.sources.report import SourceReport
from streamdyn.types import Frame

_OPENING_FRAMES = 16  # what opening and seeking cost, in frames decoded instead


def open_backend(path: Path, name: str) -> Clip:
    """Open a video file with PyAV."""
    return PyAVClip(Input.of_file(path), name)


class PyAVClip(Clip):
    """A video file that is opened anew for each call."""

    def __init__(self, source: Input, name: str) -> None:
        self._source = source
        self._name = name
        self._index = list_pictures(source)
        self.times = self._index.times

    def _read(self, indices: Sequence[int]) -> Iterator[Frame]:
        for run in split_runs(indices, self._index.keys):
            yield from self._read_run(run)

    def _read_run(self, run: Sequence[int]) -> Iterator[Frame]:
        skip_seconds = float(self.times[run[0]]) - self._index.start_seconds
        wanted = [int(self._index.stamps[index]) for index in run]
        with (
            open_decoder(self._source, SourceReport(), skip_seconds) as decoder,
            closing(decoder.frames()) as frames,
        ):
            stamped = ((decoder.track.stamp(frame), frame) for frame in frames)
            shown = None
            for shown in shown_at(stamped, wanted):
                yield self._frame(*shown)
            if shown is None:
                raise SourceError(f"{self._source.label} cannot be decoded; check that it is whole")

    def _frame(self, stamp: int, frame: VideoFrame) -> Frame:
        index = min(int(np.searchsorted(self._index.stamps, stamp)), len(self) - 1)
        orientation = orientation_of(frame)
        return Frame(
            DecodedPixels(frame, orientation),
            index=index,
            pts_seconds=float(self.times[index]),
            size=orientation.size(frame.height, frame.width),
            stream=self._name,
            key_frame=frame.key_frame,
        )


def split_runs(indices: Sequence[int], keys: NDArray[np.intp]) -> list[list[int]]:
    """Cut increasing indices where seeking to a key frame is cheaper than decoding on."""
    before = np.searchsorted(keys, indices, side="right") - 1
    runs: list[list[int]] = []
    for index, key in zip(indices, before.tolist(), strict=True):
        if runs and (key < 0 or keys[key] - runs[-1][-1] < _OPENING_FRAMES):
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs


def shown_at(
    frames: Iterable[tuple[int | None, VideoFrame]], stamps: Sequence[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """For each of increasing stamps, the last frame that came until then, or else the first.

    It has another stamp only where the picture of that stamp is damaged.
    """
    wanted = deque(stamps)
    shown = None
    for stamp, frame in frames:
        if stamp is None:
            continue
        while wanted and wanted[0] < stamp:
            wanted.popleft()
            yield shown or (stamp, frame)
        shown = stamp, frame
        if wanted and wanted[0] == stamp:
            wanted.popleft()
            yield shown
        if not wanted:
            return
    if shown is not None:
        yield from repeat(shown, len(wanted))
