"""The policy: look, draw, judge what the last draw brought, and keep to the target."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamdyn import BlockMask, Frame, ScorePolicy, StreamState
from streamdyn.types import Result

from .belief import Belief, belief_of
from .learner import Learner, Trial
from .network import PolicyNetwork
from .view import PLANES, planes_of
from .weights import read_weights, write_weights

Array = NDArray[np.float32]

_RATE: Final = 0.003  # of a step of the learner
_PULL: Final = 0.5  # of the density's error, on the logits of the next frame
_FLOOR: Final = 0.02  # the least probability to be drawn, and to be left out
_EXTREME: Final = 0.01  # a density below this, or above 1 - this, is all or nothing
_PATIENCE: Final = 50  # frames of all or nothing, before it counts as collapsed


class BlockCopy(ScorePolicy):
    """Learns, while it runs and without labels, which blocks are worth computing.

    A small network looks at the frame, at what was last computed of each block, at the last mask
    and the last result. Every `every`-th frame its blocks are drawn at random with the network's
    probabilities, and REINFORCE makes those likelier that told something new: by the
    Kullback-Leibler divergence of segmentations, by how far boxes moved, came or went, by how far
    the scores of classes moved. Other frames take as many blocks, the best ones. The mean density
    is held at `target`, whatever happens in the picture.

    `reset` forgets what was learnt: a new stream starts with the weights that were given. `save`
    keeps them.

    Args:
        target: density to keep to, in (0, 1).
        seed: of the draws, and of untrained weights.
        weights: "builtin", "random", or a file that `save` wrote.
        frozen: only apply the weights, to compute what is likelier than `threshold`: no draws, no
            learning, and `target` is where it starts, but not what is kept to.
        every: frames from draw to draw.
        threshold: odds above which a block is computed; above 1 computes less than `target`.

    Raises:
        ValueError: an argument is out of range, or the weights cannot be read.
    """

    _network: PolicyNetwork
    _learner: Learner
    _level: float  # added to all logits, to keep to the target
    _planes: Array  # what the network saw of this frame
    _trial: Trial | None  # the last frame's draw, to be judged
    _result: Result | None  # the last that was taken in, and what it says
    _belief: Belief | None
    _extremes: int  # frames on end that nothing, or all, was likely

    reads_logits = True

    def __init__(
        self,
        target: float = 0.3,
        seed: int = 0,
        weights: str | Path = "builtin",
        frozen: bool = False,
        every: int = 4,
        threshold: float = 1.0,
    ) -> None:
        super().__init__(threshold)
        if not 0 < target < 1:
            raise ValueError(f"target must lie in (0, 1), got {target}")
        if every < 1 or threshold <= 0:
            raise ValueError(
                f"every must be at least 1, and threshold more than 0, got {every}, {threshold}"
            )
        self.target = target
        self.seed = seed
        self.frozen = frozen
        self.every = every
        self._given = PolicyNetwork.random(PLANES, seed).weights
        if weights != "random":
            self._given = read_weights(weights, [layer.shape for layer in self._given])
        self.reset()

    def reset(self) -> None:
        self._draw = np.random.default_rng(self.seed)
        self._frames = 0
        self._start(PolicyNetwork(self._given))

    def save(self, path: str | Path) -> None:
        """Write what was learnt, to be given as `weights`.

        Raises:
            PolicyError: it cannot be written.
        """
        write_weights(path, self._network.weights)

    def scores(self, frame: Frame, state: StreamState) -> Array:
        """The odds that each block is worth computing."""
        self._take_in(frame, state)
        assert self._belief is not None
        self._planes = planes_of(frame, state, self._belief)
        logits = self._network(self._planes) + np.float32(self._level)
        if not np.isfinite(logits).all():
            raise ValueError("the network's logits are not finite, as the last result may not be")
        odds: Array = np.exp(logits)
        return odds

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        if self.frozen:
            return super().decide(frame, state)
        odds = self.scores(frame, state)
        self._keep_to_target(odds)
        odds = odds / np.float32(self.threshold)
        draws = self._frames % self.every == 0
        self._frames += 1
        if not draws:
            return BlockMask(state.grid, _best(odds))
        probability = np.clip(_probability(odds), _FLOOR, 1 - _FLOOR)
        drawn = self._draw.random(state.grid.shape) < probability
        self._trial = Trial(self._planes, probability, drawn)
        return BlockMask(state.grid, drawn)

    def _take_in(self, frame: Frame, state: StreamState) -> None:
        """Believe the last result, and judge by it the draw that led to it, if there was one."""
        trial, self._trial = self._trial, None
        if state.result is self._result:
            return
        before, self._belief = self._belief, belief_of(state.result, frame.size, state.grid)
        self._result = state.result
        if trial and before:
            gain = self._belief.gain(before, state.grid)
            if not np.isfinite(gain).all():
                raise ValueError("the last result holds scores that are not finite")
            self._learner.learn(trial, state.age == 1, gain)

    def _keep_to_target(self, odds: Array) -> None:
        """Move the level of the next frame so that the mean density comes out at the target.

        Raises:
            RuntimeError: nothing or all was likely for long: learning has gone wrong. The pipeline
                then computes the frame whole, and says so; learning starts again.
        """
        density = float(_probability(odds).mean())
        self._level += _PULL * (self.target - density)
        least = min(_EXTREME, min(self.target, 1 - self.target) / 2)
        extreme = not least <= density <= 1 - least
        self._extremes = self._extremes + 1 if extreme else 0
        if self._extremes >= _PATIENCE:
            self._start(PolicyNetwork(self._given))
            raise RuntimeError(
                f"had learnt to compute {density:.0%} of the blocks, not {self.target:.0%}; "
                "starts learning anew"
            )

    def _start(self, network: PolicyNetwork) -> None:
        """Begin to learn, at the density of the target."""
        self._network = network
        self._level = log(self.target / (1 - self.target))
        self._learner = Learner(network, _RATE)
        self._extremes = 0
        self._trial = self._result = self._belief = None


def _probability(odds: Array) -> Array:
    probability: Array = odds / (1 + odds)
    return probability


def _best(odds: Array) -> NDArray[np.bool_]:
    """As many blocks as a draw would hold on average, and of all blocks the best."""
    count = round(float(_probability(odds).sum()))
    best = np.zeros(odds.size, bool)
    best[np.argsort(-odds, axis=None, kind="stable")[:count]] = True
    return best.reshape(odds.shape)
