"""What a model takes for a frame, by the density of its mask."""

import numpy as np

_KEPT = 0.95  # of the weight of what was seen before, per frame
_APART = 1e-3  # variance of densities from which a slope can be told


class Cost:
    """Learns the line `seconds = fixed + slope * density`, and forgets what is long ago."""

    def __init__(self) -> None:
        self._sums = np.zeros(5)  # weighted: of 1, density, seconds, density**2, density * seconds

    def add(self, density: float, seconds: float) -> None:
        """Learn from a frame."""
        frame = (1.0, density, seconds, density**2, density * seconds)
        self._sums = self._sums * _KEPT + frame

    def density(self, seconds: float) -> float:
        """The density that can be computed in so many seconds, in [0, 1]."""
        weight, *sums = self._sums.tolist()
        if not weight or not sums[1]:
            return 1.0  # nothing is known, or the model costs nothing
        density, taken, squares, products = (each / weight for each in sums)
        variance = squares - density**2
        fixed, slope = 0.0, taken / density
        if variance > _APART:
            rise = (products - density * taken) / variance
            # Neither part of a cost is negative, whatever a slow frame may suggest.
            slope = float(np.clip(rise, 1e-9, slope))
            fixed = taken - slope * density
        return float(np.clip((seconds - fixed) / slope, 0, 1))
