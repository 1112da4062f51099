"""Gathers a few pictures of a stream, evenly spread over it, while it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.overlay import draw
from streamdyn.overlay.resize import resize
from streamdyn.picture.timeline import Timeline
from streamdyn.types import Frame, Prediction

KEPT = 12  # pictures that wait in memory, at most
SIDE = 560  # of a picture, in pixels, at most
SPANS = 400  # of the plot, at most


@dataclass(slots=True)
class Shot:
    """A frame that may be shown. Its picture is not read before the frame is sure to wait."""

    place: int  # in the stream, in strides
    prediction: Prediction
    frame: Frame
    _small: bool = False

    def shrink(self) -> None:
        """Let go of the frame for a picture of at most SIDE pixels on each side."""
        if self._small:
            return
        height, width = old = self.frame.size
        scale = min(SIDE / max(height, width), 1.0)
        new = max(round(height * scale), 1), max(round(width * scale), 1)
        image = cv2.resize(self.frame.image, new[::-1], interpolation=cv2.INTER_AREA)
        self.frame = Frame.from_image(
            image.astype(np.uint8, copy=False),
            index=self.frame.index,
            pts_seconds=self.frame.pts_seconds,
            stream=self.frame.stream,
        )
        self.prediction = replace(self.prediction, result=resize(self.prediction.result, old, new))
        self._small = True

    def draw(self) -> NDArray[np.uint8]:
        """The picture (H, W, 3) in RGB with the prediction, legible at its size."""
        return draw(self.frame.image, self.prediction, status=False, legend=False)


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
        elif self.shots:
            self.shots[-1].shrink()
        self.shots.append(Shot(place, prediction, frame))
        if len(self.shots) > KEPT:
            self._thin_out()

    def write(self, path: str | Path) -> None:
        """Write the picture as PNG; nothing, if there was no frame.

        Raises:
            OSError: it cannot be written.
        """
        from streamdyn.picture.page import make_page

        if not self.shots:
            return
        self.shots[-1].shrink()
        page = make_page(self.shots, self.timeline)
        # Stronger compression takes longer than all the rest, and saves a sixth.
        page.savefig(path, format="png", pil_kwargs={"compress_level": 1})

    def _thin_out(self) -> None:
        """Keep one shot of each two, the more telling one."""
        self._stride *= 2
        kept: dict[int, Shot] = {}
        for shot in self.shots:
            place = shot.place // 2
            rival = kept.get(place)
            if rival is None or is_telling(shot.prediction) > is_telling(rival.prediction):
                kept[place] = shot
                shot.place = place
        self.shots = list(kept.values())


def is_telling(prediction: Prediction) -> bool:
    """Whether a frame shows what dynamic inference is: some blocks computed, others not."""
    return 0 < prediction.density < 1
