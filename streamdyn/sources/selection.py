"""Which frames of a source to take."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from streamdyn.errors import SourceError
from streamdyn.sources.report import SourceReport
from streamdyn.types import Frame, Pixels

# Forgives the rounding of times such as 0.1 + 0.2; far below the distance of two frames.
_EPSILON_SECONDS = 1e-6


class Picture(NamedTuple):
    """What a decoder gives: a frame that has no place in the stream yet."""

    pts_seconds: float
    pixels: Pixels
    size: tuple[int, int]  # (height, width), upright
    key_frame: bool = True  # coded by itself


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of a stream to take, and how densely.

    Raises:
        SourceError: a value that selects nothing, or makes no sense.
    """

    start: float = 0.0  # seconds after the beginning of the stream
    duration: float | None = None  # seconds from there
    stride: int = 1  # every n-th frame of these
    max_fps: float | None = None  # of these, at most one for each 1 / max_fps seconds
    max_frames: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and self.start >= 0):
            raise SourceError(f"start must be 0 seconds or more, got {self.start}")
        if self.stride < 1:
            raise SourceError(f"stride must be 1 (every frame) or more, got {self.stride}")
        for name in ("duration", "max_fps", "max_frames"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SourceError(f"{name} must be more than 0, got {value}")

    def choose(
        self,
        pictures: Generator[Picture],
        report: SourceReport,
        stream: str,
        *,
        first_index: int = 0,
        count_from: int = 0,
    ) -> Generator[Frame]:
        """Number the pictures that come from `start` on, and yield those to take as frames.

        `max_frames` is left to the caller: a live stream may still drop frames after this.

        Args:
            first_index: of the first picture.
            count_from: the index from which on pictures count in the report.
        """
        first: float | None = None
        end = math.inf
        last_slot = -1
        with closing(pictures):
            for index, (seconds, pixels, size, key_frame) in enumerate(pictures, first_index):
                if first is None:
                    first = seconds
                    end = math.inf if self.duration is None else first + self.duration
                if seconds >= end - _EPSILON_SECONDS:
                    return
                report.decoded += index >= count_from
                if index % self.stride:
                    continue
                if self.max_fps is not None:
                    slot = math.floor((seconds - first + _EPSILON_SECONDS) * self.max_fps)
                    if slot == last_slot:
                        continue
                    last_slot = slot
                yield Frame(
                    pixels,
                    index=index,
                    pts_seconds=seconds,
                    size=size,
                    stream=stream,
                    key_frame=key_frame,
                )


def skip_to(
    start: float, pictures: Generator[Picture], beginning: float | None = None
) -> Generator[Picture]:
    """Leave out what comes earlier than `start` seconds after the beginning of the stream.

    Args:
        beginning: in seconds; None: the time of the first picture.
    """
    with closing(pictures):
        for picture in pictures:
            beginning = picture.pts_seconds if beginning is None else beginning
            if picture.pts_seconds >= beginning + start - _EPSILON_SECONDS:
                yield picture
