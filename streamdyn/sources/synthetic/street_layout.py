"""Where things stand in a synthetic street: kerbs, walls, trees and poles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamdyn.sources.synthetic.street_camera import Camera

CLASSES = ("road", "sidewalk", "building", "vegetation", "sky", "pole", "person", "vehicle")
ROAD, SIDEWALK, BUILDING, VEGETATION, SKY, POLE, PERSON, VEHICLE = range(len(CLASSES))

PoleKind = Literal["lamp", "sign", "signal"]
_POLES: tuple[PoleKind, ...] = ("lamp", "sign", "signal")
_POLE_HEIGHT: dict[PoleKind, float] = {"lamp": 6.5, "sign": 2.7, "signal": 3.6}
_POLE_REACH, _TREE_REACH = 36.0, 110.0  # metres; farther off they would be a line of pixels


@dataclass(frozen=True, slots=True)
class Prop:
    """Something upright that never moves."""

    kind: Literal["tree"] | PoleKind
    x: float
    y: float
    height: float
    size: float  # radius of a crown, or width of a pole
    seed: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A straight street; the numbers are y in metres, from the near wall to the far one."""

    near_wall: float
    near_kerb: float
    far_kerb: float
    verge: float  # end of the grass behind the far kerb; the kerb itself where there is none
    far_wall: float
    parking: float  # width of the parking strip along the far kerb, 0 for none
    props: tuple[Prop, ...]

    @classmethod
    def random(cls, rng: np.random.Generator, camera: Camera, bottom: float) -> Layout:
        """A street in view of a camera that sees the ground from `bottom` metres of depth on."""
        seen = bottom * float(np.sin(camera.heading))
        near_kerb = max(seen * rng.uniform(0.55, 1.15), 1.8)
        parking = float(rng.choice([0.0, 2.3]))
        far_kerb = near_kerb + rng.uniform(6.4, 8.5) + parking
        verge = far_kerb + float(rng.choice([0.0, rng.uniform(0.8, 2.5)]))
        far_wall = verge + rng.uniform(2.8, 5.5)
        near_wall = -rng.uniform(1.5, 7.0)
        rows = ((near_kerb - 0.7, rng.uniform(10, 24)), (far_kerb + 0.6, rng.uniform(8, 18)))
        green = rng.uniform(0.15, 0.75)
        props = tuple(
            prop
            for y, spacing in rows
            for x in np.arange(rng.uniform(-30, -20), 110.0, spacing)
            if (prop := _prop(rng, camera, x + rng.uniform(-1.5, 1.5), y, green))
        )
        return cls(near_wall, near_kerb, far_kerb, verge, far_wall, parking, props)

    def lanes(self) -> tuple[tuple[float, int], ...]:
        """The middle of each lane, and the direction in x of its traffic."""
        width = (self.far_kerb - self.parking - self.near_kerb) / 2
        return (self.near_kerb + width / 2, 1), (self.near_kerb + width * 1.5, -1)


def _prop(
    rng: np.random.Generator, camera: Camera, x: float, y: float, green: float
) -> Prop | None:
    seed = int(rng.integers(2**32))
    tree = rng.random() < green
    kind: PoleKind = _POLES[rng.integers(3)]
    depth = x * np.cos(camera.heading) + y * np.sin(camera.heading)
    if not 6.0 < depth < (_TREE_REACH if tree else _POLE_REACH) or (tree and depth < 13.0):
        return None
    if tree:
        size = rng.uniform(1.2, 2.4)
        return Prop("tree", x, y, size + rng.uniform(2.4, 4.5), size, seed)
    height = _POLE_HEIGHT[kind] * rng.uniform(0.9, 1.15)
    return Prop(kind, x, y, height, rng.uniform(0.18, 0.3), seed)


def bottom_depth(camera: Camera, height: int) -> float:
    """Depth in metres of the ground at the last row of a picture of `height` pixels."""
    return camera.focal * camera.height / (height - camera.horizon)
