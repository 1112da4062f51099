"""Clips in memory, with the truth where it is known, so that all policies see the same frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from streamdyn.errors import SourceError
from streamdyn.sources import Source, open_source
from streamdyn.sources.synthetic import SyntheticSource
from streamdyn.sources.synthetic.encode import encode
from streamdyn.sources.synthetic.street import Scene
from streamdyn.types import Frame, Segmentation

_SYNTHETIC = "synthetic:"


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The frames of one stream, kept as decoded: about 1.5 bytes per pixel."""

    name: str
    kept: Sequence[Frame]  # never read themselves, as a frame remembers what was read of it
    truth: Sequence[Segmentation] | None = None  # of each frame

    def frames(self) -> Iterator[Frame]:
        """The frames, as a source would give them: nothing of their pixels has been made."""
        return map(copy, self.kept)


def load_clips(spec: str, *, start: float = 0.0, max_frames: int | None = None) -> list[Clip]:
    """The streams of a source, a part of each.

    Raises:
        SourceError: it cannot be read, or is live: it would not show the same to all.
    """
    source = open_source(spec, start=start, max_frames=max_frames, motion=True)
    if source.live:
        raise SourceError(f"{source.url} is live; policies are compared on what can be read again")
    return [_load(stream) for stream in source.streams]


def load_coded(spec: str, crf: int, *, start: float = 0.0, max_frames: int | None = None) -> Clip:
    """A synthetic scene as it comes out of H.264 at a constant rate factor.

    Raises:
        SourceError: it is not synthetic, or cannot be read or coded.
    """
    scenes = open_source(spec, start=start, max_frames=max_frames)
    if not isinstance(scenes, SyntheticSource):
        raise SourceError(f"{scenes.url} is not synthetic: only such sources are coded at a rate")
    with TemporaryDirectory(prefix="streamdyn-") as folder:
        path = Path(folder) / "scene.mp4"
        try:
            encode(scenes.maker, path, crf=crf)
        except ValueError as error:
            raise SourceError(f"{scenes.url}: {error}") from None
        coded = open_source(path, start=start, max_frames=max_frames, motion=True)
        kept = tuple(coded)
    name = f"{spec.removeprefix(_SYNTHETIC)}, H.264 crf {crf}"
    return Clip(name, kept, _truth(scenes, kept))


def _load(stream: Source) -> Clip:
    kept = tuple(stream)
    if isinstance(stream, SyntheticSource):
        return Clip(stream.url.removeprefix(_SYNTHETIC), kept, _truth(stream, kept))
    return Clip(stream.name, kept)


def _truth(scenes: SyntheticSource, frames: Sequence[Frame]) -> Sequence[Segmentation] | None:
    """The class of each pixel, where the scene tells it."""
    shown = [scenes.truth(frame.index) for frame in frames]
    return [scene.segmentation() for scene in shown] if isinstance(shown[0], Scene) else None
