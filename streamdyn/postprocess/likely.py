"""What outputs look like: the postprocessing that would read them, for a user who must choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streamdyn.types import Task

Shape = tuple[int | None, ...]  # None: not known

_COARSE = 16  # pixels of the input for each cell of a map: a detector's, seldom of a segmentation


class Reading(NamedTuple):
    """One way to read outputs."""

    task: Task
    postprocess: str
    labels: int  # how many there must be


def readings(shapes: Sequence[Shape], height: int | None = None) -> list[Reading]:
    """The ways in which outputs of these shapes can be read, the likeliest first.

    Args:
        height: of the network's input, in pixels, where it is known.
    """
    match [shape[1:] for shape in shapes]:  # without the batch
        case [(int(n),)]:
            return [Reading("recognition", "topk", n)]
        case [(int(n), boxes)] if n > 4 and (boxes is None or boxes > n):
            return [Reading("detection", "yolo", n - 4)]
        case [(int(n), rows, _)]:
            found = [Reading("segmentation", "argmax", n)] if 1 < n <= 256 else []
            cells = [Reading("detection", "fastestdet", n - 5)] if n > 5 else []
            coarse = height is not None and rows is not None and rows * _COARSE <= height
            return cells + found if coarse else found + cells
        case [(queries, int(n)), (others, 4)] if queries == others and n > 1:
            return [Reading("detection", "detr", n - 1), Reading("detection", "detr", n)]
    return []


def told(found: Sequence[Reading]) -> str:
    """Readings in words: "fastestdet with 80 labels, or argmax with 85"."""
    first, *rest = (f"{reading.postprocess} with {reading.labels}" for reading in found)
    return ", or ".join([f"{first} labels", *rest])
