"""Recompute where the last result was unsure."""

import numpy as np
from numpy.typing import NDArray

from streamdyn import (
    BlockGrid,
    Classification,
    Detections,
    Frame,
    ScorePolicy,
    Segmentation,
    StreamState,
)
from streamdyn.types import Result


class Uncertainty(ScorePolicy):
    """Compute the blocks where the last result was unsure.

    Scores lie in [0, 1]. Segmentation: the mean entropy of the classes over the block, 1 where all
    are as likely. Detection: that of the box on the block whose score is nearest to `decision`, 1
    for one just there. Recognition: 1 less the best score, for all blocks alike. A segmentation
    that does not tell what the network said of each class is unsure everywhere.

    What is hard to tell stays so while nothing changes. Therefore use it together with a policy
    that looks at the picture: `Change(threshold=2) & Uncertainty() | Change(threshold=8)` looks
    closely where that is worth it.

    Args:
        threshold: of the scores.
        grow: blocks around that are added.
        decision: the score at which detections are told from nothing.
    """

    reads_logits = True

    def __init__(self, threshold: float = 0.2, grow: int = 0, decision: float = 0.5) -> None:
        super().__init__(threshold, grow)
        if not 0 < decision < 1:
            raise ValueError(f"decision must lie between 0 and 1, got {decision}")
        self.decision = decision
        self.reset()

    def reset(self) -> None:
        self._result: Result | None = None
        self._doubts: NDArray[np.float32] | None = None  # about that result

    def scores(self, frame: Frame, state: StreamState) -> NDArray[np.float32]:
        if self._doubts is None or state.result is not self._result:
            self._result = state.result
            self._doubts = self._doubts_about(state.result, frame.size, state.grid)
        return self._doubts

    def _doubts_about(
        self, result: Result, size: tuple[int, int], grid: BlockGrid
    ) -> NDArray[np.float32]:
        match result:
            case Segmentation():
                if result.logits is None:
                    return np.ones(grid.shape, np.float32)
                return grid.mean(_entropy(result.logits))
            case Detections():
                margin = np.where(result.scores < self.decision, self.decision, 1 - self.decision)
                doubts = 1 - np.abs(result.scores - self.decision) / margin
                return _painted(result.boxes, doubts, size, grid)
            case Classification():
                return np.full(grid.shape, 1 - result.scores.max(initial=0), np.float32)


def _entropy(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy of the softmax of maps (classes, h, w), as a share of the largest there can be."""
    apart = logits - logits.max(axis=0)
    powers = np.exp(apart)
    total = powers.sum(axis=0)
    entropy = np.log(total) - (powers * apart).sum(axis=0) / total
    share: NDArray[np.float32] = entropy / np.log(max(len(logits), 2))
    return share


def _painted(
    boxes: NDArray[np.float32],
    values: NDArray[np.float32],
    size: tuple[int, int],
    grid: BlockGrid,
) -> NDArray[np.float32]:
    """The largest value of the boxes, in a picture of `size`, on each block; 0 beside them."""
    top, left, height, width = grid.extent
    scale = np.array([width / size[1], height / size[0]] * 2)
    x1, y1, x2, y2 = ((boxes * scale + (left, top, left, top)) / grid.block).T
    painted = np.zeros(grid.shape, np.float32)
    firsts = np.floor(np.maximum([y1, x1], 0)).astype(int).T
    lasts = np.ceil([y2, x2]).astype(int).T
    for (row, col), (below, beyond), value in zip(firsts, lasts, values, strict=True):
        blocks = painted[row : max(below, 0), col : max(beyond, 0)]
        np.maximum(blocks, value, out=blocks)
    return painted
