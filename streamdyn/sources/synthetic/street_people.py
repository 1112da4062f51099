"""People on foot and on bicycles: limbs between joints, moved by the way they have gone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.sources.synthetic.street_camera import Camera, Colour, Floats, Light
from streamdyn.sources.synthetic.street_canvas import Canvas, Pose, fixed_point

_CLOTHES: tuple[Colour, ...] = (
    (34, 36, 44), (52, 60, 88), (120, 122, 126), (196, 190, 178), (160, 40, 44), (44, 92, 78),
    (212, 162, 48), (98, 64, 110), (70, 110, 164), (126, 92, 66), (226, 224, 220), (206, 100, 52),
)  # fmt: skip
_SKINS: tuple[Colour, ...] = ((232, 190, 160), (202, 154, 120), (150, 104, 76), (96, 66, 50))
_HAIRS: tuple[Colour, ...] = ((34, 28, 26), (74, 50, 36), (142, 106, 62), (128, 126, 122))
_TYRE: Colour = (28, 28, 30)
_SPOKES: Colour = (112, 114, 116)  # blurred
_STRIDE = 1.45  # metres of two steps
_TURN = 5.0  # metres of one turn of the pedals


@dataclass(frozen=True, slots=True)
class _Look:
    top: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    size: float  # 1.0 is 1.75 metres
    coat: float  # height of the hem, metres of a person of size 1.0
    bag: Colour | None

    @classmethod
    def random(cls, rng: np.random.Generator, light: Light) -> _Look:
        def pick(colours: tuple[Colour, ...]) -> Colour:
            tone = np.asarray(colours[rng.integers(len(colours))]) * light.tint
            red, green, blue = np.clip(tone * rng.uniform(0.85, 1.05), 0, 255)
            return float(red), float(green), float(blue)

        size = rng.uniform(0.6, 0.8) if rng.random() < 0.1 else rng.uniform(0.92, 1.08)
        bag = pick(_CLOTHES) if rng.random() < 0.35 else None
        coat = 0.62 if rng.random() < 0.35 else 0.88
        return cls(pick(_CLOTHES), pick(_CLOTHES[:6]), pick(_SKINS), pick(_HAIRS), size, coat, bag)


class Walker:
    """Someone on foot."""

    length, width, height = 0.5, 0.5, 1.75

    def __init__(self, rng: np.random.Generator, direction: int, light: Light) -> None:
        self._look = _Look.random(rng, light)
        self._turn = np.array([direction, direction, 1], np.float32)
        self.height = 1.75 * self._look.size

    def draw(self, canvas: Canvas, camera: Camera, pose: Pose, identity: int) -> None:
        """Draw the walker with the feet at the pose's position."""
        look = self._look
        joints = _walking(pose.gone / (_STRIDE * look.size) * 2 * np.pi, pose.pace, look.coat)
        pixels, depth = camera.project(joints * look.size * self._turn + pose.position)
        figure = _Figure(canvas, identity, fixed_point(pixels), camera.focal / depth[0] * look.size)
        near, far = (0, 1) if depth[_SHOULDERS[0]] < depth[_SHOULDERS[1]] else (1, 0)
        figure.limb(_LEGS[far], 0.15, _dim(look.trousers))
        figure.limb(_ARMS[far], 0.1, _dim(look.top))
        figure.limb(_LEGS[near], 0.16, look.trousers)
        if look.bag:
            figure.limb(_BAG, 0.26, look.bag)
        figure.hull(_TORSO, look.top)
        figure.limb(_ARMS[near], 0.105, _dim(look.top, 0.88))
        figure.head(_HEAD, look.skin, look.hair)

    def footprint(self, position: Floats, light: Light) -> Floats:
        """Points on the ground around the shadow: (N, 3)."""
        return _shadow(position, light, self.height, 0.16)


class Cyclist:
    """Someone on a bicycle."""

    length, width, height = 1.75, 0.6, 1.7

    def __init__(self, rng: np.random.Generator, direction: int, light: Light) -> None:
        self._look = _Look.random(rng, light)
        self._frame = _CLOTHES[rng.integers(len(_CLOTHES))]
        self._turn = np.array([direction, direction, 1], np.float32)

    def draw(self, canvas: Canvas, camera: Camera, pose: Pose, identity: int) -> None:
        """Draw the bicycle on the ground at the pose's position."""
        look = self._look
        joints = np.concatenate([_riding(pose.gone / _TURN * 2 * np.pi), *_WHEELS])
        pixels, depth = camera.project(joints * self._turn + pose.position)
        figure = _Figure(canvas, identity, fixed_point(pixels), camera.focal / float(depth[0]))
        rims = np.split(np.arange(_RIDER, len(joints)), len(_WHEELS))
        for rim, colour in zip(rims, (_TYRE, _SPOKES) * 2, strict=True):
            figure.hull(tuple(rim), colour)
        figure.limb(_FRAME, 0.05, self._frame)
        right, left = _FEET
        for side in (1, 0) if depth[right] < depth[left] else (0, 1):
            figure.limb((_HIP, _KNEES[side], _FEET[side]), 0.15, look.trousers)
        figure.limb((_HIP, _NECK), 0.34, look.top)
        figure.limb((_NECK, _HANDS), 0.11, _dim(look.top, 0.88))
        figure.head(_FACE, look.skin, look.hair)

    def footprint(self, position: Floats, light: Light) -> Floats:
        """Points on the ground around the shadow: (N, 3)."""
        return _shadow(position, light, self.height, 0.4)


@dataclass(frozen=True, slots=True)
class _Figure:
    """Draws parts of one person between joints."""

    canvas: Canvas
    identity: int
    joints: NDArray[np.int32]  # (N, 2) fixed point
    scale: float  # pixels per metre

    def limb(self, chain: tuple[int, ...], width: float, colour: Colour) -> None:
        """A chain of joints, `width` in metres."""
        self.canvas.limb([self.joints[i] for i in chain], width * self.scale, colour, self.identity)

    def hull(self, joints: tuple[int, ...], colour: Colour) -> None:
        """The convex hull of some joints."""
        corners = np.asarray(cv2.convexHull(self.joints[list(joints)])[:, 0], np.int32)
        self.canvas.polygon(corners, colour, self.identity)

    def head(self, joint: int, skin: Colour, hair: Colour) -> None:
        """A face below hair."""
        above = self.joints[joint] - np.array([0, round(self.scale * 0.05 * 8)], np.int32)
        self.canvas.disc(above, 0.125 * self.scale, hair, self.identity)
        self.canvas.disc(self.joints[joint], 0.105 * self.scale, skin, self.identity)


# Joints of a walker: torso 0-7, legs 8-13, arms 14-19, head 20, bag 21-22
_TORSO, _LEGS, _ARMS = tuple(range(8)), ((8, 9, 10), (11, 12, 13)), ((14, 15, 16), (17, 18, 19))
_SHOULDERS, _HEAD, _BAG = (14, 17), 20, (21, 22)


def _walking(phase: float, pace: float, hem: float) -> Floats:
    joints: list[tuple[float, float, float]] = []
    for z, x, y in ((1.5, 0.09, 0.19), (hem, 0.13, 0.18)):
        joints += [(-x, -y, z), (x, -y, z), (x, y, z), (-x, y, z)]
    for side, turn in ((-0.09, 0.0), (0.09, np.pi)):
        swing = 0.5 * pace * np.sin(phase + turn)
        bend = 0.7 * pace * max(0.0, np.cos(phase + turn))
        knee = 0.44 * np.sin(swing), 0.9 - 0.44 * np.cos(swing)
        foot = knee[0] + 0.42 * np.sin(swing - bend), knee[1] - 0.42 * np.cos(swing - bend)
        joints += [(0, side, 0.9), (knee[0], side, knee[1]), (foot[0], side, foot[1])]
    for side, turn in ((-0.24, np.pi), (0.24, 0.0)):
        swing = 0.45 * pace * np.sin(phase + turn)
        elbow = 0.28 * np.sin(swing), 1.45 - 0.28 * np.cos(swing)
        hand = elbow[0] + 0.26 * np.sin(swing + 0.25), elbow[1] - 0.26 * np.cos(swing + 0.25)
        joints += [(0, side, 1.45), (elbow[0], side, elbow[1]), (hand[0], side, hand[1])]
    joints += [(0.02, 0, 1.64), (-0.18, 0, 1.38), (-0.18, 0, 1.1)]
    return np.array(joints, np.float32)


# Joints of a rider, of whom there are twelve
_HIP, _NECK, _KNEES, _FEET, _FRAME, _HANDS, _FACE = 0, 1, (2, 3), (4, 5), (6, 7, 8, 9, 6), 10, 11
_RIDER = 12


def _riding(phase: float) -> Floats:
    hip, crank = np.array([-0.22, 0.98]), np.array([0.0, 0.32])
    joints: list[tuple[float, float, float]] = [(hip[0], 0, hip[1]), (0.12, 0, 1.42)]
    feet = []
    for side, turn in ((-0.1, 0.0), (0.1, np.pi)):
        foot = crank + 0.17 * np.array([np.cos(phase + turn), -np.sin(phase + turn)])
        knee = (hip + foot) / 2 + np.array([0.2, 0.08])
        joints.append((knee[0], side, knee[1]))
        feet.append((foot[0], side, foot[1]))
    joints += feet
    joints += [(-0.5, 0, 0.34), (-0.2, 0, 0.85), (0.38, 0, 0.88), (0.0, 0, 0.32)]
    joints += [(0.42, 0, 1.08), (0.2, 0, 1.62)]
    return np.array(joints, np.float32)


def _wheel(x: float, radius: float) -> Floats:
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    sides = [
        np.stack([x + radius * np.cos(angles), np.full(14, y), 0.34 + radius * np.sin(angles)], -1)
        for y in (-0.025, 0.025)
    ]
    return np.concatenate(sides).astype(np.float32)


_WHEELS = (_wheel(-0.52, 0.34), _wheel(-0.52, 0.29), _wheel(0.52, 0.34), _wheel(0.52, 0.29))


def _dim(colour: Colour, share: float = 0.75) -> Colour:
    return colour[0] * share, colour[1] * share, colour[2] * share


def _shadow(position: Floats, light: Light, height: float, radius: float) -> Floats:
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ring = np.stack([radius * np.cos(angles), 0.16 * np.sin(angles), np.zeros(8)], axis=-1)
    reach = np.array([*light.sun, 0.0]) * height
    return (np.concatenate([ring, ring + reach]) + position).astype(np.float32)
