"""Where a source is taken up again, and how time goes on there."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from time import time

from streamdyn.errors import SourceError
from streamdyn.sources.selection import Picture

_SETTLING_SECONDS = 2.0  # after which the frames of a connection come as they are made


@dataclass(frozen=True, slots=True)
class Resume:
    """A frame after which to go on, as the source gave it: what follows comes as it would have.

    Of a live source what follows is lost. Index and time go on, the time by what passed since
    `captured_at`; without that, directly.

    Raises:
        SourceError: no frame has such an index or time.
    """

    index: int
    pts_seconds: float
    captured_at: float | None = None  # of a live source, as time.time()

    def __post_init__(self) -> None:
        if self.index < 0 or not math.isfinite(self.pts_seconds):
            raise SourceError(
                "to resume takes the index and time of a frame that the source gave, got "
                f"{self.index} and {self.pts_seconds}"
            )


def continued(pictures: Generator[Picture], place: Resume) -> Generator[Picture]:
    """Let the times of a live source go on from `place`, whatever its clock shows now."""
    since = settled_at = shift = math.inf
    last = place.pts_seconds
    with closing(pictures):
        for picture in pictures:
            now = time()
            if shift == math.inf:
                since = now if place.captured_at is None else min(place.captured_at, now)
                settled_at = now + _SETTLING_SECONDS
            if now < settled_at:  # what waited while it was opened comes at once
                shift = min(shift, place.pts_seconds + now - since - picture.pts_seconds)
            last = max(picture.pts_seconds + shift, math.nextafter(last, math.inf))
            yield picture._replace(pts_seconds=last)
