"""Choose per moment between skipping, reusing blocks and computing all, by what each has cost."""

from typing import Literal

import numpy as np

from streamdyn import BlockMask, Frame, Policy, ScorePolicy, StreamState, load_policy
from streamdyn.metrics import agreement
from streamdyn.types import Result

from .least_squares import FadingLeastSquares

_GROWTH = 0.6  # disagreement grows with the frames since a computation to this power, or about so
_KEEP = 0.9  # of what was learnt, at each observation
_KEEP_ERROR = 0.96  # the same of the error of blocks, which is seen but now and then
_OPTIMISM = 0.97  # of the error of blocks, at each whole computation
_DOUBT = 0.01  # the error that blocks may have while nobody has looked
_PRICE = 0.2  # the threshold at which `blocks` uses its own as it is
_SCALING = 0.7  # the power of the price by which it is scaled at others


class Switch(Policy):
    """A bandit with three arms: skip the frame, compute the blocks that changed, or compute all.

    What an arm costs is what it computes, times the price `threshold`, and the disagreement with
    the dense model that it leaves. Both are predicted from how much the picture changed and how
    long ago it was computed, by weights that are fitted while it runs to what was measured: how far
    each new result differed from the one before it, and what it cost. Blocks leave an error that
    only a whole computation shows, so one is made when that is worth its price or in doubt. A frame
    is skipped as long as that raises the mean cost per frame less than to compute would.

    Args:
        threshold: the price of a whole computation, as disagreement summed over frames.
        blocks: the policy whose scores say what changed; its threshold is scaled with the price.
        cost: "share" of the multiply-accumulates, or "seconds" as measured, with which no two runs
            are quite the same.
        dense: share of the blocks from which on all are computed, as that takes no longer.
        most: frames after which something is computed in any case.
    """

    threshold: float

    def __init__(
        self,
        threshold: float = _PRICE,
        blocks: str | ScorePolicy = "Change(threshold=6, grow=1)",
        cost: Literal["share", "seconds"] = "share",
        dense: float = 0.8,
        most: int = 64,
    ) -> None:
        if threshold <= 0 or not 0 <= dense <= 1 or most < 1:
            raise ValueError(
                "threshold must be above 0, dense lie in [0, 1] and most be at least 1, got "
                f"{threshold}, {dense}, {most}"
            )
        if cost not in ("share", "seconds"):
            raise ValueError(f"cost must be share or seconds, got {cost!r}")
        scorer = load_policy(blocks) if isinstance(blocks, str) else blocks
        if not isinstance(scorer, ScorePolicy) or scorer.threshold <= 0:
            raise ValueError(f"blocks must be a policy with scores and a threshold, got {blocks!r}")
        self.threshold = threshold
        self.blocks = scorer
        self.cost = cost
        self.dense = dense
        self.most = most
        self.reads_motion = scorer.reads_motion
        self.reads_logits = scorer.reads_logits
        self.reset()

    def reset(self) -> None:
        self.blocks.reset()
        # Of the result since something was computed, by age and by how much the picture changed.
        self._change = FadingLeastSquares((0.02, 0.1), _KEEP)
        # Of blocks, by age since all were computed.
        self._error = FadingLeastSquares((0.0,), _KEEP_ERROR)
        self._rate = FadingLeastSquares((1.0,), _KEEP)  # cost of computing blocks, by their density
        self._whole_seconds: float | None = None
        self._computed: float | None = None  # density of what was computed of the frame before
        self._frames = self._frames_since_whole = 0  # since something, and all, was computed
        self._features = np.zeros(2)
        self._lost = 0.0  # disagreement predicted of the frames since something was computed
        self._partial = False  # whether blocks were computed since all were

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        self._learn_cost(state)
        self._frames += 1
        self._frames_since_whole += 1
        scores = self.blocks.scores(frame, state)
        limit = self.blocks.threshold * (self.threshold / _PRICE) ** _SCALING
        changed = BlockMask(state.grid, scores > limit).grow(self.blocks.grow)
        moved = float(scores.mean()) / self.blocks.threshold
        self._features = np.array([self._frames**_GROWTH, moved])
        return self._choose(changed)

    def observe(self, mask: BlockMask, before: Result, after: Result) -> None:
        self.blocks.observe(mask, before, after)
        change = 1 - agreement(before, after)
        expected = self._change(self._features)
        whole = mask.density == 1
        if whole and self._partial:
            # The clearer, the less the picture itself changed since the blocks were computed.
            trust = min(0.05 / (0.02 + expected), 1.0)
            age = np.array([self._frames_since_whole**_GROWTH])
            self._error.add(age, change - expected, trust)
        else:
            self._change.add(self._features, change)
            if whole:
                self._error.fade(_OPTIMISM)
        self._partial = not whole
        self._frames, self._lost = 0, 0.0
        if whole:
            self._frames_since_whole = 0
        self._computed = mask.density

    def _learn_cost(self, state: StreamState) -> None:
        """Compare the cost of what was computed last with its density."""
        density, self._computed = self._computed, None
        if self._whole_seconds is None or density == 1:
            known = state.seconds if self._whole_seconds is None else self._whole_seconds
            self._whole_seconds = _KEEP * known + (1 - _KEEP) * state.seconds
        if density is None or density == 1:
            return
        seconds = state.seconds / self._whole_seconds if self._whole_seconds else density
        self._rate.add(np.array([density]), state.share if self.cost == "share" else seconds)

    def _choose(self, changed: BlockMask) -> BlockMask:
        """The arm of this frame, `changed` being the blocks that would be computed."""
        price = self.threshold
        share = min(self._rate(np.array([changed.density])), 1.0)
        stale = self._change(self._features)
        # The disagreement since the last computation, beyond what it would be had it stayed as at
        # first: where this area reaches the price, the mean cost per frame is least.
        waited = self._frames * stale - self._lost
        self._lost += stale
        hidden = self._hidden()
        if changed and self._blocks_pay(stale / self._features[0], share):
            if hidden >= price * (1 - share):
                return changed.grid.all()
            if waited >= price * share:
                return changed if changed.density <= self.dense else changed.grid.all()
        due = waited + hidden >= price or self._frames >= self.most
        return changed.grid.all() if due else changed.grid.none()

    def _hidden(self) -> float:
        """The disagreement that blocks have left since all were computed, as `waited`."""
        if not self._partial:
            return 0.0
        growth = float(self._error.weights[0]) + _DOUBT / (1 + self._error.seen) ** 0.5
        area = self._frames_since_whole ** (1 + _GROWTH) * _GROWTH / (1 + _GROWTH)
        return float(growth * area)

    def _blocks_pay(self, growth: float, share: float) -> bool:
        """Whether blocks, and all now and then, cost less per frame than all alone."""
        price, error = self.threshold, float(self._error.weights[0])
        blocks = _cycle_cost(growth, price * share, self.most)
        blocks += _cycle_cost(error, price * (1 - share), self.most)
        return blocks < _cycle_cost(growth, price, self.most)


def _cycle_cost(growth: float, price: float, most: int) -> float:
    """Least mean cost per frame of paying `price` every n frames, and disagreement between.

    The disagreement is `growth` times the frames since, to the power of _GROWTH.
    """
    if growth <= 0:
        return price / most
    best: float = (price * (1 + _GROWTH) / (growth * _GROWTH)) ** (1 / (1 + _GROWTH))
    frames = min(max(best, 1.0), float(most))
    area: float = ((frames - 0.5) ** (1 + _GROWTH) - 0.5 ** (1 + _GROWTH)) / (1 + _GROWTH)
    return (growth * area + price) / frames
