"""A fit that goes on for ever: least squares whose past fades."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOOR = 0.03  # how much of the prior is always kept, so that no weight is ever undetermined
_TRUST = 0.3  # in the prior at first, as if it were so many observations


class FadingLeastSquares:
    """Weights, none of them negative, of one or two features that explain a value.

    Each observation counts `keep` times as much as the one after it, so that a scene that changed
    is forgotten after about 1 / (1 - keep) observations.
    """

    def __init__(self, prior: tuple[float, ...], keep: float) -> None:
        self.weights: NDArray[np.floating[Any]] = np.array(prior)
        self.seen = 0.0  # observations, faded
        self._keep = keep
        self._prior = np.array(prior)
        self._gram = _TRUST * np.eye(len(prior))
        self._values = _TRUST * self._prior

    def __call__(self, features: NDArray[np.float64]) -> float:
        """The value to expect."""
        return float(self.weights @ features)

    def add(self, features: NDArray[np.float64], value: float, trust: float = 1.0) -> None:
        """Learn from an observation; one that is trusted less counts less."""
        floor = (1 - self._keep) * _FLOOR
        self._gram = self._keep * self._gram + trust * np.outer(features, features)
        self._gram += floor * np.eye(len(features))
        self._values = self._keep * self._values + trust * value * features + floor * self._prior
        self.seen = self._keep * self.seen + 1
        weights = np.linalg.solve(self._gram, self._values)
        if (weights < 0).any():  # then one feature alone explains it, or none
            alone = np.maximum(self._values / np.diag(self._gram), 0)
            best = int(np.argmax(alone * self._values))  # what each explains
            weights = alone * (np.arange(len(alone)) == best)
        self.weights = weights

    def fade(self, share: float) -> None:
        """Trust what was seen less, and expect less: optimism, until it is seen again."""
        self._values = self._values * share
        self.weights = self.weights * share
        self.seen *= share
