"""The camera of a synthetic street, and the light that it sees by.

The world is in metres: x runs along the road, y across it, z up; the camera stands above the
origin, and the far side of the street has positive y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]  # RGB, 0 to 255

NEAREST = 0.5  # metres; what is nearer than this lies beside the picture


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera with a shifted lens: it looks level, so upright things stay upright."""

    focal: float  # pixels
    centre: float  # column of the optical axis
    horizon: float  # row of the horizon
    height: float  # metres above the ground
    heading: float  # radians from the road's axis towards the far side
    hand: int  # 1, or -1 for a mirrored street

    @classmethod
    def random(cls, rng: np.random.Generator, height: int, width: int) -> Camera:
        """A camera on a lamp post or in a first floor, for pictures of `height` x `width` px."""
        return cls(
            focal=rng.uniform(0.72, 0.98) * width,
            centre=rng.uniform(0.42, 0.58) * width,
            horizon=rng.uniform(0.27, 0.42) * height,
            height=rng.uniform(3.0, 6.5),
            heading=np.radians(rng.uniform(20.0, 80.0)),
            hand=int(rng.choice([-1, 1])),
        )

    def project(self, points: ArrayLike) -> tuple[Floats, Floats]:
        """Where points (..., 3) lie in the picture: (..., 2) column and row, and depth (...)."""
        x, y, z = np.moveaxis(np.asarray(points, np.float32), -1, 0)
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        depth = np.maximum(x * cos + y * sin, NEAREST)
        scale = self.focal / depth
        columns = self.centre + self.hand * (x * sin - y * cos) * scale
        rows = self.horizon + (self.height - z) * scale
        return np.stack([columns, rows], axis=-1).astype(np.float32), depth.astype(np.float32)

    def rays(self, columns: Floats) -> tuple[Floats, Floats]:
        """World x and y per metre of depth, along the rays through `columns` (N,)."""
        lateral = self.hand * (columns - self.centre) / self.focal
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return (cos + lateral * sin).astype(np.float32), (sin - lateral * cos).astype(np.float32)

    def position(self) -> Floats:
        """Where the camera is: (3,)."""
        return np.array([0.0, 0.0, self.height], np.float32)


@dataclass(frozen=True, slots=True)
class Light:
    """Sun, sky and haze of one time of day."""

    zenith: Colour  # sky above
    skyline: Colour  # sky at the horizon, and haze
    tint: Colour  # factors on everything that is lit, about 1
    sun: tuple[float, float]  # how far a shadow reaches in x and y, per metre of height
    shadow: float  # how much darker a shadow is, in [0, 1]
    clouds: float  # cover of the sky, in [0, 1]
    lamps: float  # share of windows that are lit

    @classmethod
    def random(cls, rng: np.random.Generator) -> Light:
        """One of noon, morning, overcast, evening and dusk, varied a little."""
        zenith, skyline, tint, reach, shadow, clouds, lamps = _TIMES[rng.integers(len(_TIMES))]
        jitter = rng.uniform(0.93, 1.07, 3)
        angle = rng.uniform(0, 2 * np.pi)
        reach *= rng.uniform(0.7, 1.3)
        return cls(
            zenith=_scaled(zenith, jitter),
            skyline=_scaled(skyline, jitter),
            tint=_scaled(tint, rng.uniform(0.94, 1.06, 3)),
            sun=(reach * np.cos(angle), reach * np.sin(angle)),
            shadow=shadow * rng.uniform(0.85, 1.1),
            clouds=clouds * rng.uniform(0.5, 1.2),
            lamps=lamps,
        )

    def shade(self, normal: ArrayLike) -> float:
        """How bright a surface is that faces `normal` (3,): 1.0 faces the sky, in [0.5, 1.1]."""
        x, y, z = np.asarray(normal, float)
        towards = np.array([-self.sun[0], -self.sun[1], 1.0])
        towards /= np.linalg.norm(towards)
        facing = max(0.0, float(towards @ (x, y, z)))
        return float(0.62 + 0.16 * max(z, 0.0) + 0.6 * self.shadow * facing)


def _scaled(colour: Colour, factors: NDArray[np.float64]) -> Colour:
    red, green, blue = np.asarray(colour) * factors
    return float(red), float(green), float(blue)


# zenith, skyline, tint, reach of the sun's shadows, their darkness, clouds, lit windows
_TIMES: tuple[tuple[Colour, Colour, Colour, float, float, float, float], ...] = (
    ((72, 128, 205), (176, 205, 232), (1.06, 1.04, 1.00), 0.5, 0.50, 0.5, 0.0),  # noon
    ((98, 150, 214), (216, 214, 204), (1.06, 1.00, 0.92), 1.1, 0.45, 0.4, 0.02),  # morning
    ((168, 176, 186), (204, 208, 212), (0.92, 0.94, 0.98), 0.2, 0.14, 0.9, 0.08),  # overcast
    ((96, 120, 178), (240, 196, 148), (1.04, 0.92, 0.78), 1.7, 0.42, 0.6, 0.1),  # evening
    ((54, 70, 112), (150, 128, 138), (0.62, 0.62, 0.74), 0.3, 0.16, 0.6, 0.45),  # dusk
)
