"""REINFORCE: what a sample of blocks brought becomes a step of the network that drew it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .network import PolicyNetwork

Array = NDArray[np.float32]

_MOST: Final = 5.0  # times the usual gain; one that is far beyond would undo what many taught
_STEADY: Final = 0.95  # of a running mean, kept from step to step
_DECAY: Final = 1e-4  # of the weights, as a share of their gradient's scale
_TINY: Final = np.float32(1e-6)


@dataclass(frozen=True, slots=True)
class Trial:
    """A sample that was drawn, to be judged by what it brings."""

    planes: Array  # (rows, cols, planes) what the network saw
    probability: Array  # (rows, cols) that each block was drawn with
    drawn: NDArray[np.bool_]  # (rows, cols)


class Learner:
    """Trains a policy network by RMSprop.

    Args:
        rate: of a step, relative to the usual size of the gradient.
    """

    def __init__(self, network: PolicyNetwork, rate: float) -> None:
        self.network = network
        self._rate = rate
        self._usual = 0.0  # information gain of a block that was drawn
        self._steps = 0
        self._squares = [np.zeros_like(layer) for layer in network.weights]

    def learn(self, trial: Trial, computed: NDArray[np.bool_], gain: Array) -> None:
        """Make blocks likelier that brought more than is usual, and others less likely.

        The reward of a block that was drawn is its gain in units of the usual one, less 1, the
        price of a block: whatever units gain has, and however little happens. Steps leave the
        mean of the logits as it is, so that they say where to compute, and not how much.

        Args:
            computed: (rows, cols), which may be fewer blocks than were drawn, or more.
            gain: (rows, cols) the information that the result brought.
        """
        judged = trial.drawn & computed
        if not judged.any():
            return
        worth = np.where(judged, gain, 0)
        mean = float(worth.sum()) / int(judged.sum())
        self._usual = _STEADY * self._usual + (1 - _STEADY) * mean if self._usual else mean
        reward = np.minimum(worth / max(self._usual, _TINY), _MOST) - 1
        # That of log-probability, towards more of it, is drawn - probability.
        of_logits = np.where(judged, reward * (trial.probability - 1), 0) / judged.size
        of_logits -= of_logits.mean()
        self.network(trial.planes)
        self._step(self.network.gradients(of_logits.astype(np.float32)))

    def _step(self, gradients: list[Array]) -> None:
        self._steps += 1
        seen = np.float32(1 - _STEADY**self._steps)  # squares start at 0
        for layer, gradient, squares in zip(
            self.network.weights, gradients, self._squares, strict=True
        ):
            gradient += np.float32(_DECAY) * layer
            squares *= np.float32(_STEADY)
            squares += np.float32(1 - _STEADY) * gradient**2
            layer -= np.float32(self._rate) * gradient / (np.sqrt(squares / seen) + _TINY)
