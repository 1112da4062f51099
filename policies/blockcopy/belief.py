"""What the model believes, block by block, and what a new result adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamdyn import BlockGrid, Classification, Detections, Segmentation
from streamdyn.metrics import box_iou
from streamdyn.types import Result

Array = NDArray[np.float32]

CELLS = 4  # along the side of a block, for maps of the picture
# Of a label, and of any other, where the network's own scores are not known.
_LIKELY, _UNLIKELY = np.log(np.array([0.95, 0.01], np.float32))


class Belief(Protocol):
    """A result in the form that the policy learns from."""

    def stake(self, grid: BlockGrid) -> Array:
        """How much there is to be wrong about in each block (rows, cols), in [0, 1]."""

    def gain(self, before: Belief, grid: BlockGrid) -> Array:
        """The information that this brought to each block (rows, cols) over `before`."""


def belief_of(result: Result, size: tuple[int, int], grid: BlockGrid) -> Belief:
    """The belief behind a result on a picture of `size` (height, width)."""
    match result:
        case Segmentation():
            return Labelling(_log_probabilities(result, grid))
        case Detections():
            return Boxes(_in_blocks(result.boxes, size, grid), result.scores, result.labels)
        case Classification():
            return Classes(dict(zip(result.labels.tolist(), result.scores.tolist(), strict=True)))


@dataclass(frozen=True, slots=True)
class Labelling:
    """The log-probabilities of the classes, (classes, h, w) over the picture."""

    log_probabilities: Array

    def stake(self, grid: BlockGrid) -> Array:
        """How unsure the labels are: 1 less the mean probability of the best class."""
        return 1 - grid.mean(np.exp(self.log_probabilities.max(0)))

    def gain(self, before: Belief, grid: BlockGrid) -> Array:
        """Kullback-Leibler divergence from what was believed before, at its peak in the block."""
        assert isinstance(before, Labelling)
        old, new = before.log_probabilities, self.log_probabilities
        return grid.peak((np.exp(old) * (old - new)).sum(0), CELLS)


@dataclass(frozen=True, slots=True)
class Boxes:
    """What was detected, in blocks of the grid instead of pixels."""

    boxes: Array  # (N, 4) x1 y1 x2 y2
    scores: Array  # (N,)
    labels: NDArray[np.int64]  # (N,)

    def stake(self, grid: BlockGrid) -> Array:
        """The highest score of the boxes that reach into the block."""
        return _paint(self.boxes, self.scores, grid)

    def gain(self, before: Belief, grid: BlockGrid) -> Array:
        """(1 - IoU) * score over each box and its partner; the whole score of one without.

        The partner is the box of the same class that fits best. Where their scores differ, the
        difference counts as well.
        """
        assert isinstance(before, Boxes)
        shared = box_iou(before.boxes, self.boxes)
        shared *= before.labels[:, None] == self.labels
        shared *= np.minimum(before.scores[:, None], self.scores)
        lost = before.scores - shared.max(axis=1, initial=0)
        won = self.scores - shared.max(axis=0, initial=0)
        boxes = np.concatenate([before.boxes, self.boxes])
        return _paint(boxes, np.concatenate([lost, won]), grid)


@dataclass(frozen=True, slots=True)
class Classes:
    """The scores of the best classes, by label."""

    scores: dict[int, float]

    def stake(self, grid: BlockGrid) -> Array:
        """How unsure the best class is; the same for all blocks."""
        return np.full(grid.shape, 1 - max(self.scores.values(), default=0), np.float32)

    def gain(self, before: Belief, grid: BlockGrid) -> Array:
        """Total variation of the scores; the same for all blocks."""
        assert isinstance(before, Classes)
        labels = self.scores.keys() | before.scores.keys()
        moved = sum(abs(self.scores.get(n, 0) - before.scores.get(n, 0)) for n in labels)
        return np.full(grid.shape, moved / 2, np.float32)


def _log_probabilities(result: Segmentation, grid: BlockGrid) -> Array:
    """Of the classes at about `CELLS` x `CELLS` places of each block."""
    maps = result.labels[None] if result.logits is None else result.logits
    steps = []
    for axis, places in enumerate(maps.shape[1:]):
        blocks = grid.extent[axis + 2] / grid.block
        steps.append(min(max(round(places / (blocks * CELLS)), 1), places))
    places = maps[:, steps[0] // 2 :: steps[0], steps[1] // 2 :: steps[1]]
    if result.logits is None:
        classes = np.arange(len(result.classes), dtype=places.dtype)[:, None, None]
        said: Array = np.where(places == classes, _LIKELY, _UNLIKELY)
        return said
    logits: Array = places - places.max(axis=0)
    logits -= np.log(np.exp(logits).sum(axis=0))
    return logits


def _in_blocks(boxes: Array, size: tuple[int, int], grid: BlockGrid) -> Array:
    top, left, height, width = grid.extent
    scale = np.array([width / size[1], height / size[0]] * 2, np.float32)
    shift = np.array([left, top] * 2, np.float32)
    blocks: Array = (boxes * scale + shift) / np.float32(grid.block)
    return blocks


def _paint(boxes: Array, values: Array, grid: BlockGrid) -> Array:
    """The highest value of the boxes that reach into each block, 0 where there is none."""
    painted = np.zeros(grid.shape, np.float32)
    first = np.maximum(np.floor(boxes[:, :2]), 0).astype(int)
    last = np.ceil(boxes[:, 2:]).astype(int)
    for (x, y), (right, bottom), value in zip(first, last, values, strict=True):
        area = painted[y:bottom, x:right]
        np.maximum(area, value, out=area)
    return painted
