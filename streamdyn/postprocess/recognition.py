"""Class scores to the best classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamdyn.fit import Fit
from streamdyn.postprocess.outputs import Count, read_outputs, sigmoid, softmax
from streamdyn.types import Classification


def topk(
    outputs: Sequence[NDArray[np.float32]],
    fit: Fit,
    classes: tuple[str, ...],
    *,
    k: Count = 5,
    activation: Literal["softmax", "sigmoid", "none"] = "softmax",
) -> Classification:
    """The `k` best classes, best first. Reads one output: (1, classes).

    Args:
        activation: what turns the output into scores; "none" where the network did it.
    """
    (logits,) = read_outputs("topk", outputs, (1, len(classes)))
    match activation:
        case "softmax":
            scores = softmax(logits[0])
        case "sigmoid":
            scores = sigmoid(logits[0])
        case "none":
            scores = logits[0]
    best = np.argsort(-scores, kind="stable")[:k]
    return Classification(
        labels=best.astype(np.int64),
        scores=scores[best],
        names=tuple(classes[label] for label in best),
    )
