"""Cars, vans, lorries and buses: boxes with slanted sides, drawn far faces first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamdyn.sources.synthetic.street_camera import Camera, Colour, Floats, Light
from streamdyn.sources.synthetic.street_canvas import Canvas, Pose, fixed_point

_PAINTS: tuple[Colour, ...] = (
    (236, 236, 234), (206, 208, 210), (150, 154, 158), (86, 90, 96), (36, 38, 42),
    (168, 28, 34), (38, 70, 138), (30, 92, 74), (214, 168, 52), (120, 76, 52), (92, 128, 160),
)  # fmt: skip
_GLASS: Colour = (52, 66, 80)
_RUBBER: Colour = (26, 26, 28)
_RIM: Colour = (142, 144, 148)
_Rectangle = tuple[float, float, float, float]  # u0 v0 u1 v1 on a face, in [0, 1]


@dataclass(frozen=True, slots=True)
class _Box:
    """A box along x that may be slanted; metres, from the vehicle's middle."""

    rear: float
    front: float
    low: float
    high: float
    half: float  # width / 2
    rear_slant: float = 0.0  # how much the top is shorter at the rear
    front_slant: float = 0.0
    tuck: float = 0.0  # how much the top is narrower on each side

    def faces(self) -> dict[str, Floats]:
        """Corners (4, 3) of each face: bottom left, bottom right, top right, top left."""
        y, t = self.half, self.half - self.tuck
        rear, front = self.rear + self.rear_slant, self.front - self.front_slant
        a, b = (self.rear, -y, self.low), (self.front, -y, self.low)
        c, d = (self.front, y, self.low), (self.rear, y, self.low)
        e, f, g, h = (
            (rear, -t, self.high), (front, -t, self.high), (front, t, self.high),
            (rear, t, self.high),
        )  # fmt: skip
        corners = {
            "right": (a, b, f, e), "left": (c, d, h, g), "front": (b, c, g, f),
            "rear": (d, a, e, h), "top": (e, f, g, h),
        }  # fmt: skip
        return {name: np.array(face, np.float32) for name, face in corners.items()}


class _Shell:
    """Collects the polygons of a vehicle, in the order in which those of one face are drawn."""

    def __init__(self, direction: int, light: Light) -> None:
        self._turn = np.array([direction, direction, 1], np.float32)
        self._light = light
        self.corners: list[Floats] = []
        self.colours: list[Colour] = []
        self.normals: list[Floats] = []
        self.middles: list[Floats] = []
        self.outlines: list[bool] = []  # False: a detail on a face

    def box(self, box: _Box, colour: Colour, **details: list[tuple[_Rectangle, Colour]]) -> None:
        """Add the faces of a box, with coloured rectangles on the faces named."""
        for name, corners in box.faces().items():
            face = corners * self._turn
            normal = np.cross(face[1] - face[0], face[3] - face[0])
            normal /= np.linalg.norm(normal)
            self._add(face, face, normal, colour, outline=True)
            for rectangle, paint in details.get(name, []):
                self._add(_on_face(face, rectangle), face, normal, paint, outline=False)

    def wheels(self, positions: tuple[float, ...], radius: float, half: float) -> None:
        """Add wheels on both sides."""
        angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        for x in positions:
            for side in (-1.0, 1.0):
                normal = np.array([0, side, 0], np.float32) * self._turn
                for size, paint in ((radius, _RUBBER), (radius * 0.58, _RIM)):
                    y = np.full_like(angles, side * (half + 0.02))
                    along, up = x + size * np.cos(angles), radius + size * np.sin(angles)
                    corners = np.stack([along, y, up], -1).astype(np.float32) * self._turn
                    self._add(corners, corners, normal, paint, outline=size == radius)

    def _add(
        self, corners: Floats, face: Floats, normal: Floats, colour: Colour, *, outline: bool
    ) -> None:
        tone = np.asarray(colour) * self._light.tint * self._light.shade(normal) * 1.1
        red, green, blue = np.clip(tone, 0, 255)
        self.corners.append(corners)
        self.colours.append((float(red), float(green), float(blue)))
        self.normals.append(normal)
        self.middles.append(face.mean(axis=0))
        self.outlines.append(outline)


class Vehicle:
    """One vehicle; it never turns, so its faces are shaded once."""

    def __init__(self, shell: _Shell, length: float, width: float, height: float) -> None:
        self.length, self.width, self.height = length, width, height
        self._corners = np.concatenate(shell.corners)
        self._starts = np.cumsum([0, *map(len, shell.corners)])
        self._colours, self._outlines = shell.colours, shell.outlines
        self._normals, self._middles = np.array(shell.normals), np.array(shell.middles)

    @classmethod
    def random(cls, rng: np.random.Generator, direction: int, light: Light) -> Vehicle:
        """A car most often, or a van, a lorry or a bus, that drives in `direction` along x."""
        paint = _PAINTS[rng.integers(len(_PAINTS))]
        shell = _Shell(direction, light)
        make = (_car, _van, _lorry, _bus)[rng.choice(4, p=[0.68, 0.16, 0.08, 0.08])]
        length, width, height = make(rng, shell, paint)
        return cls(shell, length, width, height)

    def draw(self, canvas: Canvas, camera: Camera, pose: Pose, identity: int) -> None:
        """Draw the vehicle with its middle above the pose's position."""
        views = camera.position() - pose.position - self._middles
        facing = np.einsum("ij,ij->i", views, self._normals) > 0
        distances = np.linalg.norm(views, axis=1)
        pixels = fixed_point(camera.project(self._corners + pose.position)[0])
        for i in np.argsort(-distances, kind="stable"):  # a face's details keep their order
            if not facing[i]:
                continue
            corners = pixels[self._starts[i] : self._starts[i + 1]]
            if self._outlines[i]:
                canvas.polygon(corners, self._colours[i], identity)
            else:
                canvas.detail(corners, self._colours[i])

    def footprint(self, position: Floats, light: Light) -> Floats:
        """Points on the ground around the vehicle's shadow: (N, 3)."""
        x, y = self.length / 2 * 0.97, self.width / 2 * 0.97
        base = np.array([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)], np.float32)
        reach = np.array([*light.sun, 0], np.float32) * self.height * 0.9
        return np.concatenate([base, base * (0.8, 0.85, 0) + reach]) + position


def _on_face(face: Floats, rectangle: _Rectangle) -> Floats:
    u0, v0, u1, v1 = rectangle
    corners = []
    for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1)):
        bottom = face[0] * (1 - u) + face[1] * u
        top = face[3] * (1 - u) + face[2] * u
        corners.append(bottom * (1 - v) + top * v)
    return np.array(corners, np.float32)


def _lights(low: float = 0.5, high: float = 0.78) -> dict[str, list[tuple[_Rectangle, Colour]]]:
    plate, lamp, tail = (232, 230, 214), (250, 246, 226), (186, 24, 26)
    return {
        "front": [
            ((0.04, low, 0.22, high), lamp), ((0.78, low, 0.96, high), lamp),
            ((0.28, low, 0.72, high - 0.06), (40, 40, 44)), ((0.38, 0.12, 0.62, 0.3), plate),
        ],
        "rear": [
            ((0.03, low, 0.2, high), tail), ((0.8, low, 0.97, high), tail),
            ((0.38, 0.3, 0.62, 0.5), plate),
        ],
    }  # fmt: skip


def _trim(paint: Colour) -> list[tuple[_Rectangle, Colour]]:
    """Sills and gaps of the doors on the side of a body."""
    dark = (paint[0] * 0.6, paint[1] * 0.6, paint[2] * 0.6)
    return [
        ((0.0, 0.0, 1.0, 0.12), (44, 44, 46)), ((0.36, 0.12, 0.366, 1.0), dark),
        ((0.58, 0.12, 0.586, 1.0), dark), ((0.02, 0.55, 0.98, 0.58), dark),
    ]  # fmt: skip


def _car(rng: np.random.Generator, shell: _Shell, paint: Colour) -> tuple[float, float, float]:
    length, width = rng.uniform(3.7, 4.9), rng.uniform(1.7, 1.9)
    height, waist = rng.uniform(1.4, 1.72), rng.uniform(0.84, 0.98)
    half, x = width / 2, length / 2
    estate = rng.random() < 0.5
    body = _Box(-x, x, 0.24, waist, half, 0.06, 0.1, 0.06)
    cabin = _Box(
        -x + (0.12 if estate else rng.uniform(0.45, 0.8)), x - rng.uniform(0.85, 1.25),
        waist, height, half - 0.07, 0.25 if estate else 0.55, rng.uniform(0.55, 0.8), 0.16,
    )  # fmt: skip
    shell.box(_Box(-x * 0.9, x * 0.9, 0.08, 0.3, half * 0.86), (20, 20, 22))
    shell.box(body, paint, right=_trim(paint), left=_trim(paint), **_lights())
    radius = rng.uniform(0.3, 0.35)
    shell.wheels((-x + 0.78, x - 0.8), radius, half)
    panes: list[tuple[_Rectangle, Colour]] = [
        ((0.07, 0.12, 0.36, 0.86), _GLASS), ((0.4, 0.12, 0.64, 0.86), _GLASS),
        ((0.68, 0.12, 0.93, 0.86), _GLASS),
    ]  # fmt: skip
    screen: list[tuple[_Rectangle, Colour]] = [((0.06, 0.08, 0.94, 0.92), (66, 84, 100))]
    shell.box(cabin, paint, right=panes, left=panes, front=screen, rear=screen)
    return length, width, height


def _van(rng: np.random.Generator, shell: _Shell, paint: Colour) -> tuple[float, float, float]:
    length, width, height = rng.uniform(4.8, 5.8), rng.uniform(1.9, 2.05), rng.uniform(2.0, 2.5)
    half, x = width / 2, length / 2
    shell.box(_Box(-x * 0.9, x * 0.9, 0.08, 0.32, half * 0.86), (20, 20, 22))
    shell.box(
        _Box(-x, x, 0.28, 1.15, half, 0.0, 0.12), paint, right=_trim(paint), left=_trim(paint),
        **_lights(0.55, 0.82),
    )  # fmt: skip
    shell.wheels((-x + 0.95, x - 0.9), 0.35, half)
    near, far = ((0.72, 0.12, 0.9, 0.72), _GLASS), ((0.1, 0.12, 0.28, 0.72), _GLASS)
    shell.box(
        _Box(-x, x - 0.85, 1.15, height, half, 0.05, 0.75, 0.08), paint,
        right=[near], left=[far], front=[((0.05, 0.06, 0.95, 0.9), _GLASS)],
        rear=[((0.1, 0.3, 0.46, 0.8), _GLASS), ((0.54, 0.3, 0.9, 0.8), _GLASS)],
    )  # fmt: skip
    return length, width, height


def _lorry(rng: np.random.Generator, shell: _Shell, paint: Colour) -> tuple[float, float, float]:
    length, width, height = rng.uniform(6.8, 8.5), 2.3, rng.uniform(2.9, 3.4)
    half, x = width / 2, length / 2
    load = _PAINTS[rng.integers(4)]
    dark = (load[0] * 0.7, load[1] * 0.7, load[2] * 0.7)
    ribs = [((u, 0.0, u + 0.006, 1.0), dark) for u in np.linspace(0.1, 0.9, 7)]
    shell.box(_Box(-x, x - 0.2, 0.35, 0.85, half * 0.8), (34, 34, 36))
    shell.wheels((-x + 1.2, x - 0.9), 0.48, half * 0.95)
    shell.box(_Box(-x, x - 2.0, 0.85, height, half), load, right=ribs, left=ribs)
    shell.box(
        _Box(x - 1.85, x, 0.55, 2.5, half * 0.96, 0.0, 0.25, 0.05), paint,
        right=[((0.3, 0.5, 0.86, 0.9), _GLASS)], left=[((0.14, 0.5, 0.7, 0.9), _GLASS)],
        front=[((0.05, 0.48, 0.95, 0.92), _GLASS), *_lights(0.1, 0.22)["front"][:2]],
    )  # fmt: skip
    return length, width, height


def _bus(rng: np.random.Generator, shell: _Shell, paint: Colour) -> tuple[float, float, float]:
    length, width, height = rng.uniform(9.5, 12.0), 2.5, rng.uniform(2.9, 3.2)
    half, x = width / 2, length / 2
    band = _PAINTS[rng.integers(len(_PAINTS))]
    panes = [((u, 0.46, u + 0.1, 0.84), _GLASS) for u in np.linspace(0.03, 0.87, 8)]
    sides = [((0.0, 0.08, 1.0, 0.2), band), *panes]
    screen = [((0.05, 0.36, 0.95, 0.88), _GLASS), *_lights(0.08, 0.18)["front"][:2]]
    back = [((0.15, 0.5, 0.85, 0.85), _GLASS), *_lights(0.1, 0.24)["rear"][:2]]
    shell.box(_Box(-x * 0.96, x * 0.96, 0.1, 0.4, half * 0.9), (20, 20, 22))
    shell.box(
        _Box(-x, x, 0.32, height, half, 0.03, 0.08, 0.04), paint,
        right=sides, left=sides, front=screen, rear=back,
    )  # fmt: skip
    shell.wheels((-x + 2.6, x - 2.4), 0.46, half)
    return length, width, height
