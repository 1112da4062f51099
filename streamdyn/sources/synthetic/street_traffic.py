"""Who moves in a synthetic street, and where each is at a given time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from streamdyn.sources.synthetic.street_camera import Camera, Floats, Light
from streamdyn.sources.synthetic.street_canvas import Canvas, Pose
from streamdyn.sources.synthetic.street_layout import PERSON, VEHICLE, Layout
from streamdyn.sources.synthetic.street_people import Cyclist, Walker
from streamdyn.sources.synthetic.street_vehicles import Vehicle

MOST = 254  # identities fit in a byte, and 0 is nobody
_ROAD_START, _ROAD_LENGTH = -70.0, 190.0  # metres of x on which vehicles are; the ends join
_WALK_START, _WALK_LENGTH = -25.0, 70.0
_RAMP = 0.22  # share of a drive in which it speeds up, and in which it slows down


class Body(Protocol):
    """What a mover looks like."""

    length: float  # metres
    width: float
    height: float

    def draw(self, canvas: Canvas, camera: Camera, pose: Pose, identity: int) -> None: ...
    def footprint(self, position: Floats, light: Light) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Motion:
    """Go, stop, go: the same for all that share a lane, so that they never collide."""

    speed: float  # metres per second, on average while it goes; 0 stands
    period: float = 1.0  # seconds from one departure to the next
    moving: float = 1.0  # share of the period in which it goes
    phase: float = 0.0  # share of the period that has passed at time 0

    def gone(self, seconds: float) -> float:
        """Metres covered up to a time."""
        cycles, part = divmod(seconds / self.period + self.phase, 1.0)
        done = part if self.moving >= 1 else _eased(min(part / self.moving, 1.0))
        return self.speed * self.period * min(self.moving, 1.0) * (cycles + done)

    def pace(self, seconds: float) -> float:
        """Speed at a time, as a share of the average while it goes, at most 1."""
        if self.speed == 0:
            return 0.0
        covered = self.gone(seconds + 0.1) - self.gone(seconds - 0.1)
        return float(np.clip(covered / (0.2 * self.speed), 0, 1))


def _eased(share: float) -> float:
    """Distance of a drive that speeds up, holds and slows down; all in [0, 1]."""
    if share < _RAMP:
        distance = share**2 / (2 * _RAMP)
    elif share < 1 - _RAMP:
        distance = share - _RAMP / 2
    else:
        distance = 1 - _RAMP - (1 - share) ** 2 / (2 * _RAMP)
    return distance / (1 - _RAMP)


@dataclass(frozen=True, slots=True)
class Mover:
    """A body on a track along the road."""

    body: Body
    label: int  # index in CLASSES
    track: tuple[float, float]  # x where it starts and its length; the ends join
    start: float  # metres on the track at time 0
    y: float
    direction: int  # 1 or -1 along x
    motion: Motion

    def pose(self, seconds: float) -> Pose:
        """Where it is at a time."""
        gone = self.motion.gone(seconds)
        first, length = self.track
        x = first + (self.start + self.direction * gone) % length
        return Pose(np.array([x, self.y, 0], np.float32), gone, self.motion.pace(seconds))


def populate(
    rng: np.random.Generator, layout: Layout, light: Light, traffic: float
) -> tuple[Mover, ...]:
    """Vehicles on both lanes and in the parking bays, cyclists, and people on the sidewalks."""
    movers: list[Mover] = []
    period, phase = rng.uniform(9, 16), rng.uniform(0, 1)
    for y, direction in layout.lanes():
        motion = Motion(rng.uniform(5, 10), period, rng.uniform(0.5, 0.75), phase)
        movers += _lane(rng, light, (y, direction), motion, 26 / max(traffic, 1e-3))
        phase += rng.uniform(-0.12, 0.12)
    if layout.parking:
        y = layout.far_kerb - layout.parking / 2
        movers += _lane(rng, light, (y, -1), Motion(0.0), 9 / max(traffic, 1e-3))
    movers += _cyclists(rng, layout, light, round(rng.integers(1, 5) * traffic))
    movers += _walkers(rng, layout, light, round(rng.integers(10, 22) * traffic))
    return tuple(movers[:MOST])


def _lane(
    rng: np.random.Generator, light: Light, lane: tuple[float, int], motion: Motion, gap: float
) -> list[Mover]:
    """Vehicles one behind the other, `gap` metres apart on average."""
    y, direction = lane
    movers: list[Mover] = []
    at = rng.exponential(gap)
    while True:
        vehicle = Vehicle.random(rng, direction, light)
        if at + vehicle.length + 2 > _ROAD_LENGTH:
            return movers
        start, aside = at + vehicle.length / 2, rng.normal(0, 0.12)
        track = (_ROAD_START, _ROAD_LENGTH)
        movers.append(Mover(vehicle, VEHICLE, track, start, y + aside, direction, motion))
        at += vehicle.length + 2 + rng.exponential(gap)


def _cyclists(rng: np.random.Generator, layout: Layout, light: Light, count: int) -> list[Mover]:
    movers = []
    for _ in range(count):
        direction = int(rng.choice([-1, 1]))
        edge = layout.near_kerb + 0.6 if direction > 0 else layout.far_kerb - layout.parking - 0.6
        motion = Motion(rng.uniform(3.5, 5.5))
        start = rng.uniform(0, _ROAD_LENGTH)
        track, body = (_ROAD_START, _ROAD_LENGTH), Cyclist(rng, direction, light)
        movers.append(Mover(body, PERSON, track, start, edge, direction, motion))
    return movers


def _walkers(rng: np.random.Generator, layout: Layout, light: Light, count: int) -> list[Mover]:
    movers = []
    near = max(layout.near_wall + 0.5, layout.near_kerb - 4.5), layout.near_kerb - 0.4
    far = layout.verge + 0.4, layout.far_wall - 0.5
    for _ in range(count):
        direction = int(rng.choice([-1, 1]))
        y = rng.uniform(*(near if rng.random() < 0.4 else far))
        steady = Motion(rng.uniform(1.0, 1.6))
        pausing = Motion(steady.speed, rng.uniform(8, 20), rng.uniform(0.3, 0.8), rng.uniform())
        motion = pausing if rng.random() < 0.35 else steady
        start = rng.uniform(0, _WALK_LENGTH)
        track, body = (_WALK_START, _WALK_LENGTH), Walker(rng, direction, light)
        movers.append(Mover(body, PERSON, track, start, y, direction, motion))
    return movers
