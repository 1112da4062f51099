"""Moves the threshold of a policy until its results agree with the dense model's as asked."""

from __future__ import annotations

import math

from streamdyn.policy import Policy


class Controller:
    """Learns from audits how disagreement grows with the threshold, and sets that.

    The mean disagreement at a threshold is taken as `rate * threshold`. It need not be so: what
    counts is the rate where the threshold stands, and older audits fade. The rate has a gamma
    distribution, conjugate to counts and near enough to sums of disagreements whose variance is
    `spread` times their mean (measured as well: a detector that gains or loses whole objects tells
    much less per audit than a map of classes). The threshold is set for a rate somewhat above the
    mean, the more so the less is known, and at most doubled at a time: quality is lost faster than
    it is regained.

    Args:
        threshold: what the user gave. It is the unit of all thresholds here.
        target: mean agreement over frames.
    """

    _FADE = 0.97  # per audit: the weight of what was seen before
    _CAUTION = 0.8  # standard deviations of the rate above its mean
    _RANGE = 1e-3, 8.0  # of thresholds
    _STEP = 2.0  # times the threshold, at most, after an audit
    _LIFT, _LIFT_AFTER = 1.25, 8  # by how much, after how many whole frames in a row
    # What is thought before the first audit: the mean rate, and the shape of its distribution.
    _RATE, _SHAPE = 0.07, 0.35
    _SPREAD_WEIGHT = 0.6  # in disagreements

    def __init__(self, policy: Policy, threshold: float, target: float) -> None:
        self._policy = policy
        self._unit = threshold
        self._allowed = 1 - target
        self._disagreement = 0.0  # summed over audits, as are all below, older ones faded
        self._exposure = 0.0  # thresholds
        self._expected = 0.0  # disagreements
        self._squares = 0.0  # of what they missed those by
        self._frames = self._whole = 0  # since the last audit
        self._computed = False  # anything since then
        self._whole_run = 0  # whole frames in a row
        self._lift = 1.0  # of the threshold, where it is so low that all frames are whole
        self._grain = 1.0
        self._threshold = self._RANGE[1]
        self._set()

    @property
    def threshold(self) -> float:
        """What the policy's threshold is now, in units of the given one."""
        return self._threshold

    @property
    def disagreement(self) -> float:
        """What the audits say that the policy leaves at this threshold; 0 before any."""
        return self._disagreement / max(self._exposure, 1e-9) * self._threshold

    def advance(self, density: float) -> None:
        """Note how much of a frame was computed."""
        whole = density == 1
        self._frames += 1
        self._whole += whole
        self._computed |= density > 0
        self._whole_run = self._whole_run + 1 if whole else 0
        if self._whole_run == self._LIFT_AFTER:
            # Nothing is saved and nothing can be learnt here. What was learnt elsewhere stays.
            self._whole_run = 0
            self._lift *= self._LIFT if self._threshold < 1 else 1
            self._set()

    def learn(self, agreement: float, grain: float) -> None:
        """Move the threshold after an audit.

        Args:
            grain: what a disagreement of such a result is made of: one object of all, say.
        """
        partial = 1 - self._whole / max(self._frames, 1)
        disagreement = (1 - agreement) * partial
        # Where nothing happens all thresholds do equally well: no evidence for a larger one.
        telling = self._computed or disagreement > 0
        self._frames = self._whole = 0
        self._computed = False
        self._lift = math.sqrt(self._lift)
        self._grain = grain
        if not telling:
            return
        expected = self._rate() * self._threshold
        self._disagreement = self._FADE * self._disagreement + disagreement
        self._exposure = self._FADE * self._exposure + self._threshold
        self._expected = self._FADE * self._expected + expected
        self._squares = self._FADE * self._squares + (disagreement - expected) ** 2
        self._set()

    def _set(self) -> None:
        low, high = self._RANGE
        high = min(high, self._STEP * self._threshold)
        self._threshold = min(max(self._lift * self._allowed / self._cautious_rate(), low), high)
        self._policy.threshold = self._threshold * self._unit

    def _spread(self) -> float:
        """Variance of a disagreement over its mean: at most 1, as it lies in [0, 1]."""
        seen = self._SPREAD_WEIGHT * self._grain + self._squares
        return min(seen / (self._SPREAD_WEIGHT + self._expected), 1.0)

    def _posterior(self) -> tuple[float, float]:
        """Shape and inverse scale of the gamma distribution of the rate."""
        spread = self._spread()
        shape = self._SHAPE + self._disagreement / spread
        return shape, self._SHAPE / self._RATE + self._exposure / spread

    def _rate(self) -> float:
        shape, inverse_scale = self._posterior()
        return shape / inverse_scale

    def _cautious_rate(self) -> float:
        # Wilson and Hilferty: the cube root of a gamma variable is nearly normal. A shape below 1
        # would be mostly skew; there the caution is in the prior.
        shape, inverse_scale = self._posterior()
        narrow = max(shape, 1.0)
        quantile = (1 - 1 / (9 * narrow) + self._CAUTION / (3 * math.sqrt(narrow))) ** 3
        return max(quantile, 1.0) * shape / inverse_scale
