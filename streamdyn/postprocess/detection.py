"""Detection heads to boxes in pixels of the source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamdyn.fit import Fit
from streamdyn.postprocess.outputs import Count, Fraction, read_outputs, sigmoid, softmax
from streamdyn.types import Detections


def fastestdet(
    outputs: Sequence[NDArray[np.float32]],
    fit: Fit,
    classes: tuple[str, ...],
    *,
    score: Fraction = 0.3,
    iou: Fraction = 0.45,
    limit: Count = 300,
) -> Detections:
    """Boxes of FastestDet. Reads one output: (1, 5 + classes, rows, cols).

    Its channels are objectness, the box (tx, ty, tw, th) and a probability per class. The score
    of a box is objectness^0.6 times probability^0.4, as its authors chose.

    Args:
        score: the least score of a box.
        iou: of two boxes of a class that overlap more, the lower one is dropped.
        limit: the most boxes of a frame.
    """
    (output,) = read_outputs("fastestdet", outputs, (1, 5 + len(classes), "rows", "cols"))
    objectness, box, probabilities = output[0, 0], output[0, 1:5], output[0, 5:]
    scores = objectness**0.6 * probabilities.max(axis=0) ** 0.4
    row, col = np.nonzero(scores >= score)
    tx, ty, tw, th = box[:, row, col]
    rows, cols = objectness.shape
    centres = np.stack([(np.tanh(tx) + col) / cols, (np.tanh(ty) + row) / rows], axis=1)
    boxes = _corners(centres, np.stack([sigmoid(tw), sigmoid(th)], axis=1), fit)
    labels = probabilities[:, row, col].argmax(axis=0)
    return _suppressed(boxes, scores[row, col], labels, fit, classes, iou, limit)


def yolo(
    outputs: Sequence[NDArray[np.float32]],
    fit: Fit,
    classes: tuple[str, ...],
    *,
    score: Fraction = 0.25,
    iou: Fraction = 0.45,
    limit: Count = 300,
) -> Detections:
    """Boxes of YOLO since version 8. Reads one output: (1, 4 + classes, boxes).

    Its channels are the box (cx, cy, width, height, in pixels of the input) and a probability
    per class.

    Args:
        score: the least score of a box.
        iou: of two boxes of a class that overlap more, the lower one is dropped.
        limit: the most boxes of a frame.
    """
    (output,) = read_outputs("yolo", outputs, (1, 4 + len(classes), "boxes"))
    scores = output[0, 4:].max(axis=0)
    kept = np.flatnonzero(scores >= score)
    centres, sizes = output[0, 0:2, kept], output[0, 2:4, kept]  # (kept, 2) each
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    labels = output[0, 4:, kept].argmax(axis=1)
    return _suppressed(boxes, scores[kept], labels, fit, classes, iou, limit)


def detr(
    outputs: Sequence[NDArray[np.float32]],
    fit: Fit,
    classes: tuple[str, ...],
    *,
    score: Fraction = 0.5,
    limit: Count = 100,
) -> Detections:
    """Boxes of DETR and its kin. Reads two outputs: logits (1, queries, classes), boxes (.., 4).

    Logits with one more class than there are names end in "no object" and take a softmax (DETR,
    YOLOS); with as many, each is a sigmoid of its own (RT-DETR, Deformable DETR). Boxes are
    (cx, cy, width, height) in fractions of the input.

    Args:
        score: the least score of a box.
        limit: the most boxes of a frame.
    """
    no_object = bool(outputs) and outputs[0].shape[-1:] == (len(classes) + 1,)
    logits, boxes = read_outputs(
        "detr", outputs, (1, "queries", len(classes) + no_object), (1, "queries", 4)
    )
    scores = softmax(logits[0])[:, :-1] if no_object else sigmoid(logits[0])
    query, label = np.nonzero(scores >= score)
    if no_object:  # the classes exclude one another
        first = label == scores.argmax(axis=1)[query]
        query, label = query[first], label[first]
    best = np.argsort(-scores[query, label], kind="stable")[:limit]
    query, label = query[best], label[best]
    corners = _corners(boxes[0, query, :2], boxes[0, query, 2:], fit)
    return _detections(corners, scores[query, label], label, fit, classes)


def nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    iou: float,
    limit: int,
) -> NDArray[np.int64]:
    """Non-maximum suppression per class: the indices of at most `limit` boxes, best first.

    From the best score down, a box is dropped if it overlaps one of its class that stays by more
    than `iou`. Boxes are (N, 4), x1 y1 x2 y2.
    """
    order = np.argsort(-scores, kind="stable")
    labels = labels[order]
    left, top, right, bottom = boxes[order].T
    areas = (right - left) * (bottom - top)
    stays = np.ones(len(order), bool)
    kept: list[int] = []
    for best in range(len(order)):
        if not stays[best]:
            continue
        kept.append(best)
        if len(kept) == limit:
            break
        rest = slice(best + 1, None)
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        overlaps = shared > iou * (areas[best] + areas[rest] - shared)
        stays[rest] &= ~(overlaps & (labels[rest] == labels[best]))
    return order[kept]


def _corners(
    centres: NDArray[np.float32], sizes: NDArray[np.float32], fit: Fit
) -> NDArray[np.float32]:
    """Boxes (N, 4) x1 y1 x2 y2 in pixels of the input, from fractions of it."""
    height, width = fit.size
    corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    pixels: NDArray[np.float32] = corners * np.array([width, height] * 2, np.float32)
    return pixels


def _suppressed(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    fit: Fit,
    classes: tuple[str, ...],
    iou: float,
    limit: int,
) -> Detections:
    kept = nms(boxes, scores, labels, iou, limit)
    return _detections(boxes[kept], scores[kept], labels[kept], fit, classes)


def _detections(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    fit: Fit,
    classes: tuple[str, ...],
) -> Detections:
    return Detections(
        boxes=fit.boxes_to_source(boxes.astype(np.float32)),
        scores=scores.astype(np.float32),
        labels=labels.astype(np.int64),
        names=tuple(classes[label] for label in labels),
    )
