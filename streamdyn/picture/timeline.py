"""Density over time, in memory that does not grow."""

from __future__ import annotations

from dataclasses import dataclass

from streamdyn.types import Prediction


@dataclass(frozen=True, slots=True)
class Span:
    """What was computed in a stretch of a stream."""

    start_seconds: float  # of its first frame
    end_seconds: float  # of its last frame
    frames: int
    computed: int  # frames of which something was
    density: float  # of all frames, summed
    peak: float  # largest density of a frame

    @classmethod
    def of(cls, prediction: Prediction) -> Span:
        """The stretch of one frame."""
        time, density = prediction.pts_seconds, prediction.density
        return cls(time, time, 1, int(prediction.status == "computed"), density, density)

    def __add__(self, later: Span) -> Span:
        return Span(
            self.start_seconds,
            later.end_seconds,
            self.frames + later.frames,
            self.computed + later.computed,
            self.density + later.density,
            max(self.peak, later.peak),
        )


class Timeline:
    """A stream as spans of equally many frames; when there are too many, each two become one."""

    def __init__(self, most: int) -> None:
        self.most = most  # spans
        self.spans: list[Span] = []  # in order; the last may have fewer frames than the others
        self._frames = 1  # per span

    def add(self, prediction: Prediction) -> None:
        """Count a frame."""
        span = Span.of(prediction)
        if self.spans and self.spans[-1].frames < self._frames:
            self.spans[-1] += span
            return
        self.spans.append(span)
        if len(self.spans) > self.most:
            self._frames *= 2
            pairs = (self.spans[n : n + 2] for n in range(0, len(self.spans), 2))
            self.spans = [pair[0] + pair[1] if len(pair) == 2 else pair[0] for pair in pairs]

    def total(self) -> Span:
        """The whole stream, which has a frame at least."""
        whole, *later = self.spans
        for span in later:
            whole += span
        return whole
