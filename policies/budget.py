"""The blocks that are worth most, within what may be spent."""

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn import BlockMask, Frame, Policy, PolicyError, ScorePolicy, StreamState, load_policy
from streamdyn.types import Result

from .cost import Cost


class Budget(Policy):
    """Compute the blocks that another policy asks for, the best first, within a budget.

    What is left out stays due and moves up with each frame that it waits: at a density that does
    not vary, no block waits for longer than about 2 / density frames.

    Args:
        policy: one that scores blocks, as for `--policy` or as an object.
        density: the largest fraction of blocks to compute; 0.1 if there is no other limit.
        milliseconds: how long the model may take for a frame. What a density costs is learnt from
            the frames before; a block at least is computed where any is due.

    Raises:
        ValueError: the policy scores no blocks, or a limit is out of range.
    """

    def __init__(
        self,
        policy: str | Policy = "Change(threshold=4)",
        density: float | None = None,
        milliseconds: float | None = None,
    ) -> None:
        if density is None and milliseconds is None:
            density = 0.1
        if density is not None and not 0 < density <= 1:
            raise ValueError(f"density must lie above 0 and be at most 1, got {density}")
        if milliseconds is not None and not milliseconds > 0:
            raise ValueError(f"milliseconds must be above 0, got {milliseconds}")
        self.policy = _scoring(policy)
        self.density = density
        self.milliseconds = milliseconds
        self.reads_motion = self.policy.reads_motion
        self.reads_logits = self.policy.reads_logits
        self.reset()

    @property
    def threshold(self) -> float | None:
        """That of the policy whose blocks are taken."""
        return self.policy.threshold

    @threshold.setter
    def threshold(self, threshold: float | None) -> None:
        if threshold is None:
            raise ValueError("the blocks of a budget need a threshold")
        self.policy.threshold = threshold

    def reset(self) -> None:
        self.policy.reset()
        self._cost = Cost()
        self._waited: NDArray[np.int32] | None = None  # frames for which each block has been due

    def observe(self, mask: BlockMask, before: Result, after: Result) -> None:
        self.policy.observe(mask, before, after)

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        scores = self.policy.scores(frame, state)
        due = self.policy.due(scores, state.grid)
        density = self._affordable(state)
        if self._waited is None:
            self._waited = np.zeros(due.active.shape, np.int32)
        self._waited = np.where(due.active, self._waited + 1, 0)
        worth = _ranks(scores, self.policy.grow) + self._waited * density
        worth[~due.active] = -1
        count = max(int(density * worth.size + 1e-6), 1)
        best = np.argsort(-worth, axis=None, kind="stable")[:count]
        mask = state.grid.none()
        mask.active.flat[best] = due.active.flat[best]
        self._waited[mask.active] = 0
        return mask

    def _affordable(self, state: StreamState) -> float:
        """The density that keeps both limits."""
        density = 1.0 if self.density is None else self.density
        if self.milliseconds is None:
            return density
        computed = state.age == 1
        if computed.any():  # of the frame before
            self._cost.add(float(computed.mean()), state.seconds)
        return min(density, self._cost.density(self.milliseconds / 1e3))


def _scoring(policy: str | Policy) -> ScorePolicy:
    try:
        made = load_policy(policy) if isinstance(policy, str) else policy
    except PolicyError as error:
        raise ValueError(str(error)) from None
    if not isinstance(made, ScorePolicy):
        raise ValueError(f"a budget needs a policy that scores blocks, and {policy!r} does not")
    return made


def _ranks(scores: NDArray[np.float32], grow: int) -> NDArray[np.float64]:
    """From 0 for the block that is worth least to nearly 1; those around one are worth as much."""
    spread = cv2.dilate(scores, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8))
    order = np.argsort(spread, axis=None, kind="stable")
    ranks = np.empty(scores.size)
    ranks[order] = np.arange(scores.size) / scores.size
    return ranks.reshape(scores.shape)
