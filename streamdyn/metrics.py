"""How good a result is: against the dense model's on the same frame, or against the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamdyn.types import Classification, Detections, Result, Segmentation


def agreement(result: Result, dense: Result) -> float:
    """How far a result says what the dense model says of the same frame, in [0, 1].

    Recognition: 1 if the best class is the same, else 0. Detection: the share of sure detections
    (score >= 0.5) of either side that the other side matches (same class, score >= 0.4, overlap
    >= 0.5 IoU). Segmentation: the mean IoU over the classes that either side has.

    Raises:
        TypeError: results of different tasks.
    """
    match result, dense:
        case Classification(), Classification():
            return float(result.labels[:1].tolist() == dense.labels[:1].tolist())
        case Detections(), Detections():
            here, there = _matched(result, dense), _matched(dense, result)
            sure = len(here) + len(there)
            return float(here.sum() + there.sum()) / sure if sure else 1.0
        case Segmentation(), Segmentation():
            classes = int(max(result.labels.max(), dense.labels.max())) + 1
            overlap = MeanIoU(classes)
            overlap.add(result.labels, dense.labels)
            return overlap.value
    raise TypeError(f"a {result.task} result cannot agree with a {dense.task} result")


class MeanIoU:
    """Mean intersection over union of label maps with their truth, over all pixels added."""

    def __init__(self, classes: int) -> None:
        self.confusion = np.zeros((classes, classes), np.int64)  # [truth, said], in pixels

    def add(self, labels: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
        """Count the pixels of two maps (H, W); a truth beyond the classes (255) is ignored.

        Raises:
            ValueError: the maps differ in shape, or a label is beyond the classes.
        """
        classes = len(self.confusion)
        if labels.shape != truth.shape:
            raise ValueError(f"labels {labels.shape} and truth {truth.shape} differ in shape")
        if labels.max(initial=0) >= classes:
            raise ValueError(f"label {labels.max()} is beyond the {classes} classes")
        known = truth < classes
        pairs = truth[known].astype(np.intp) * classes + labels[known]
        self.confusion += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    @property
    def per_class(self) -> NDArray[np.float64]:
        """IoU of each class; NaN for a class that neither side ever had."""
        right = np.diag(self.confusion)
        union = self.confusion.sum(0) + self.confusion.sum(1) - right
        shares = np.full(len(right), np.nan)
        np.divide(right, union, out=shares, where=union > 0)
        return shares

    @property
    def value(self) -> float:
        """The mean over the classes that were seen; NaN before anything was added."""
        seen = self.per_class[~np.isnan(self.per_class)]
        return float(seen.mean()) if seen.size else float("nan")


def box_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of each of the boxes (N, 4) with each of (M, 4), x1 y1 x2 y2: (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1] - shared
    overlap = np.zeros(shared.shape, np.float32)
    np.divide(shared, union, out=overlap, where=union > 0)
    return overlap


def _matched(found: Detections, other: Detections) -> NDArray[np.bool_]:
    """For each sure detection, whether the other side has it too."""
    sure, likely = found.scores >= 0.5, other.scores >= 0.4
    near = box_iou(found.boxes[sure], other.boxes[likely]) >= 0.5
    same = found.labels[sure][:, None] == other.labels[likely]
    matched: NDArray[np.bool_] = (near & same).any(axis=1)
    return matched
