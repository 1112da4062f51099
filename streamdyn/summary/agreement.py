"""How far a whole stream agrees with the dense model, told from the frames that were audited."""

from __future__ import annotations

import math
from statistics import NormalDist

from streamdyn.types import Prediction

CONFIDENCE = 0.95


class MeanAgreement:
    """The mean agreement over all frames, fed prediction by prediction.

    A frame that was computed whole is known to agree. Of the others each audit stands for those
    since the audit before: where audits are rarer, each counts for more.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.audits = 0
        self._whole = 0
        self._waiting = 0  # partly reused frames since the last audit
        # Sums over audits: of the weight, its square, and both times the agreement and its square.
        self._w = self._ww = self._wa = self._wwa = self._wwaa = 0.0

    def add(self, prediction: Prediction) -> None:
        """Count a frame, and the audit of the one before it."""
        if prediction.audit is not None:
            w, a = max(self._waiting, 1), prediction.audit.agreement
            self._w, self._wa = self._w + w, self._wa + w * a
            w *= w
            self._ww, self._wwa, self._wwaa = (
                self._ww + w,
                self._wwa + w * a,
                self._wwaa + w * a * a,
            )
            self.audits += 1
            self._waiting = 0
        self.frames += 1
        whole = prediction.density == 1
        self._whole += whole
        self._waiting += not whole

    def merge(self, other: MeanAgreement) -> None:
        """Count all that another one has counted."""
        self.frames += other.frames
        self.audits += other.audits
        self._whole += other._whole
        self._w += other._w
        self._ww += other._ww
        self._wa += other._wa
        self._wwa += other._wwa
        self._wwaa += other._wwaa

    @property
    def value(self) -> float | None:
        """The mean; None where it is not known, for want of frames or of audits."""
        if not self.frames or (not self.audits and self._whole < self.frames):
            return None
        return self._mean(self._wa / self._w if self.audits else 1.0)

    def interval(self) -> tuple[float, float] | None:
        """Where the mean lies, with CONFIDENCE; None where it is not known.

        By Student's t, with one more audit imagined, the worst or the best that there is: that
        all audits so far agree does not prove that all frames do.
        """
        value = self.value
        if value is None or not self.audits:
            return None if value is None else (value, value)
        return self._mean(max(self._bound(0.0), 0.0)), self._mean(min(self._bound(1.0), 1.0))

    def _bound(self, imagined: float) -> float:
        """The end of the interval of the mean over audits that is nearer to an imagined one."""
        count = self.audits + 1
        weight = self._w / self.audits
        total = self._w + weight
        mean = (self._wa + weight * imagined) / total
        squares = self._wwaa - 2 * mean * self._wwa + mean * mean * self._ww
        squares += (weight * (imagined - mean)) ** 2
        error = math.sqrt(squares * count / (count - 1)) / total
        reach = student(0.5 + CONFIDENCE / 2, count - 1) * error
        return mean + reach if imagined > mean else mean - reach

    def _mean(self, partial: float) -> float:
        """The mean over all frames, where that over the partly reused ones is `partial`."""
        known = self._whole / self.frames
        return known + (1 - known) * partial


def student(fraction: float, freedom: int) -> float:
    """A quantile of Student's t distribution, within 3% for 2 degrees of freedom or more."""
    z, n = NormalDist().inv_cdf(fraction), freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )
