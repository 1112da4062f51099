"""Gathers a few pictures of a stream, evenly spread over it, while it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import SinkError
from streamdyn.overlay import draw
from streamdyn.picture.timeline import Timeline
from streamdyn.types import Detections, Frame, Prediction, Result, Segmentation

KEPT = 12  # pictures that wait in memory, at most
SIDE = 560  # of a picture, in pixels, at most
SPANS = 400  # of the plot, at most


@dataclass(frozen=True, slots=True)
class Shot:
    """A small picture of a frame, drawn on."""

    place: int  # in the stream, in strides
    prediction: Prediction
    image: NDArray[np.uint8]  # (H, W, 3) RGB


class ContactSheet:
    """The picture of one stream. It takes no more memory the longer the stream is."""

    def __init__(self) -> None:
        self.timeline = Timeline(SPANS)
        self.shots: list[Shot] = []  # in order, at most one per stride
        self._seen = 0  # frames
        self._stride = 1  # frames; doubles whenever there are too many shots

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        """Take a prediction, and the frame it is about."""
        self.timeline.add(prediction)
        place = self._seen // self._stride
        self._seen += 1
        if self.shots and self.shots[-1].place == place:
            if is_telling(self.shots[-1].prediction) or not is_telling(prediction):
                return
            self.shots.pop()
        self.shots.append(Shot(place, prediction, _draw_small(prediction, frame)))
        if len(self.shots) > KEPT:
            self._thin_out()

    def write(self, path: str | Path) -> None:
        """Write the picture as PNG; nothing, if there was no frame.

        Raises:
            SinkError: it cannot be written.
        """
        from streamdyn.picture.page import make_page

        if not self.shots:
            return
        page = make_page(self.shots, self.timeline)
        try:
            page.savefig(path, format="png")
        except OSError as error:
            raise SinkError(f"cannot write {path}: {error.strerror or error}") from None

    def _thin_out(self) -> None:
        """Keep one shot of each two, the more telling one."""
        self._stride *= 2
        kept: dict[int, Shot] = {}
        for shot in self.shots:
            place = shot.place // 2
            if place not in kept or is_telling(shot.prediction) > is_telling(
                kept[place].prediction
            ):
                kept[place] = replace(shot, place=place)
        self.shots = list(kept.values())


def is_telling(prediction: Prediction) -> bool:
    """Whether a frame shows what dynamic inference is: some blocks computed, others not."""
    return 0 < prediction.density < 1


def _draw_small(prediction: Prediction, frame: Frame) -> NDArray[np.uint8]:
    """A picture of at most SIDE pixels on each side, with text that is legible at that size."""
    height, width = frame.size
    scale = min(SIDE / max(height, width), 1.0)
    size = max(round(height * scale), 1), max(round(width * scale), 1)
    small = cv2.resize(frame.image, size[::-1], interpolation=cv2.INTER_AREA)
    drawn = replace(prediction, result=_resize(prediction.result, frame.size, size))
    return draw(small.astype(np.uint8, copy=False), drawn, status=False, legend=False)


def _resize(result: Result, old: tuple[int, int], new: tuple[int, int]) -> Result:
    """The result on a picture of another size (height, width)."""
    match result:
        case Detections():
            scale = np.array([new[1] / old[1], new[0] / old[0]] * 2, np.float32)
            return replace(result, boxes=result.boxes * scale)
        case Segmentation():
            labels = cv2.resize(result.labels, new[::-1], interpolation=cv2.INTER_NEAREST)
            return replace(result, labels=labels.astype(np.uint8, copy=False))
    return result
