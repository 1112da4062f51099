"""The panels of a view. Each is a picture with layers over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockMask
from streamdyn.overlay import draw
from streamdyn.overlay.age import paint_ages
from streamdyn.overlay.blocks import paint_blocks
from streamdyn.overlay.resize import resize
from streamdyn.types import Frame, Prediction
from streamdyn.view.history import History

PANELS = "results,mask,reference,age"
SHADE = 0.3  # how much is left of what was not computed

Canvas = NDArray[np.uint8]  # (H, W, 3) RGB
Panel = tuple[str, ...]  # names of layers, the lowest first


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to draw of a frame, at the size of a panel."""

    image: Canvas
    reference: Canvas
    prediction: Prediction  # its result on a picture of that size
    mask: BlockMask
    ages: NDArray[np.int64]  # (rows, cols), frames
    longest: int  # age in the whole run

    @classmethod
    def of(
        cls,
        frame: Frame,
        prediction: Prediction,
        history: History,
        size: tuple[int, int],
        longest: int,
    ) -> Scene:
        """The scene of a frame, for panels of `size` (height, width)."""
        assert prediction.mask is not None, "the survey refuses results without masks"
        result = resize(prediction.result, frame.size, size)
        return cls(
            _scaled(frame.image, size),
            _scaled(history.reference, size),
            replace(prediction, result=result, mask=None),
            prediction.mask,
            history.ages.frames.copy(),
            longest,
        )

    def draw(self, panel: Panel) -> Canvas:
        """The picture of a panel."""
        canvas = self.image.copy()
        for name in panel:
            canvas = LAYERS[name].paint(canvas, self)
        return canvas


@dataclass(frozen=True, slots=True)
class Layer:
    """Something that can be laid over a picture."""

    title: str
    paint: Callable[[Canvas, Scene], Canvas]  # returns the picture with the layer


def parse_panels(text: str) -> list[Panel]:
    """Read panels, separated by commas, of layers that `+` puts on one another.

    Raises:
        ValueError: there is no such layer.
    """
    panels = [tuple(panel.split("+")) for panel in text.split(",")]
    for name in (name for panel in panels for name in panel):
        if name not in LAYERS:
            raise ValueError(f"there is no layer {name!r}; there are {', '.join(LAYERS)}")
    return panels


def title_of(panel: Panel) -> str:
    """What stands above a panel."""
    return " + ".join(LAYERS[name].title for name in panel)


def _scaled(image: Canvas, size: tuple[int, int]) -> Canvas:
    height, width = size
    shrinks = width < image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def _frame(canvas: Canvas, scene: Scene) -> Canvas:
    return scene.image.copy()


def _reference(canvas: Canvas, scene: Scene) -> Canvas:
    return scene.reference.copy()


def _results(canvas: Canvas, scene: Scene) -> Canvas:
    return draw(canvas, scene.prediction, status=False)


def _mask(canvas: Canvas, scene: Scene) -> Canvas:
    height, width = canvas.shape[:2]
    shaded = (canvas * np.float32(SHADE)).astype(np.uint8)
    cv2.copyTo(canvas, scene.mask.pixels(height, width).astype(np.uint8), shaded)
    paint_blocks(shaded, scene.mask)
    return shaded


def _age(canvas: Canvas, scene: Scene) -> Canvas:
    # Without its own colours, but for what was computed now.
    grey = cv2.cvtColor(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    painted = np.asarray(grey, np.uint8)
    cv2.copyTo(canvas, scene.mask.pixels(*canvas.shape[:2]).astype(np.uint8), painted)
    paint_ages(painted, scene.mask.grid, scene.ages, scene.longest)
    return painted


LAYERS = {
    "frame": Layer("frame", _frame),
    "results": Layer("results", _results),
    "mask": Layer("computed blocks", _mask),
    "reference": Layer("reference: each block as last computed", _reference),
    "age": Layer("age", _age),
}
