"""Trees, lamps, signs and signals of a synthetic street, and the shadows that they cast."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.sources.synthetic.street_camera import Camera, Colour, Floats, Light
from streamdyn.sources.synthetic.street_canvas import fixed_point
from streamdyn.sources.synthetic.street_layout import Prop
from streamdyn.sources.synthetic.street_textures import Foliage, as_uint8, grain

_BARK: Colour = (84, 68, 54)
_METALS: tuple[Colour, ...] = ((96, 100, 104), (60, 64, 66), (140, 144, 148), (52, 74, 62))
_SIGNS: tuple[Colour, ...] = ((186, 40, 42), (36, 84, 160), (236, 232, 224), (226, 178, 40))
_LENSES: tuple[Colour, ...] = ((228, 52, 40), (240, 180, 40), (60, 210, 110))


def shadow_outline(prop: Prop, light: Light) -> Floats:
    """Points on the ground (N, 3) around what a tree's crown or a pole darkens."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    if prop.kind == "tree":
        reach = np.full(16, prop.height - prop.size * 0.5)
        stretch = 1 + 0.4 * np.hypot(*light.sun)
    else:
        reach, stretch = np.repeat([0.0, prop.height], 8), 1.0
    x = prop.x + light.sun[0] * reach + prop.size * stretch * np.cos(angles)
    y = prop.y + light.sun[1] * reach + prop.size * np.sin(angles)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.float32)


def paint_prop(
    image: NDArray[np.uint8], prop: Prop, camera: Camera, light: Light
) -> NDArray[np.bool_]:
    """Paint a tree or a pole on `image` (H, W, 3), and return which pixels it covers (H, W)."""
    rng = np.random.default_rng(prop.seed)
    height, width, _ = image.shape
    easel = _Easel(image.copy(), np.zeros((height, width), np.uint8))
    ends, depth = camera.project([(prop.x, prop.y, 0), (prop.x, prop.y, prop.height)])
    scale = camera.focal / float(depth[0])
    if prop.kind == "tree":
        _paint_tree(rng, easel, ends, prop.size * scale)
        unit = max(height // 256, 1)
        leaves = 1 + 0.17 * grain(rng, height, width, (unit, unit * 4))
    else:
        _paint_pole(easel, prop, ends, scale)
        leaves = np.ones((height, width), np.float32)
    covered = easel.mask > 0
    tone = np.asarray(light.tint, np.float32) * (0.8 + 0.35 * light.shadow)
    image[covered] = as_uint8(as_uint8(easel.image[covered] * leaves[covered][:, None]) * tone)
    return covered


@dataclass(frozen=True, slots=True)
class _Easel:
    """A copy of the picture to paint on, and where paint is."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]

    def bar(self, start: Floats, end: Floats, width: float, colour: Colour) -> None:
        """A straight piece, `width` pixels wide, lit from the left."""
        along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
        across = np.array([-along[1], along[0]], np.float32) * max(width, 1.0) / 2
        for share, tone in ((1.0, 0.75), (0.45, 1.2)):
            sides = start + across, start - across * share, end - across * share, end + across
            corners = fixed_point(np.array(sides, np.float32))
            paint = [min(channel * tone, 255.0) for channel in colour]
            cv2.fillConvexPoly(self.image, corners, paint, shift=3)
            cv2.fillConvexPoly(self.mask, corners, 255, shift=3)

    def disc(self, centre: Floats, radius: float, colour: Colour) -> None:
        """A filled circle, `radius` pixels wide."""
        at, size = (round(float(centre[0])), round(float(centre[1]))), max(round(radius), 1)
        cv2.circle(self.image, at, size, colour, cv2.FILLED)
        cv2.circle(self.mask, at, size, 255, cv2.FILLED)


def _paint_tree(rng: np.random.Generator, easel: _Easel, ends: Floats, radius: float) -> None:
    foot, top = ends
    easel.bar(foot, top + np.array([0, radius], np.float32), 0.16 * radius, _BARK)
    radii = radius, radius * rng.uniform(0.9, 1.25)
    centre = float(top[0]), float(top[1]) + radii[1]
    Foliage.random(rng).paint(rng, easel.image, easel.mask, centre, radii)


def _paint_pole(easel: _Easel, prop: Prop, ends: Floats, scale: float) -> None:
    rng = np.random.default_rng(prop.seed + 1)
    foot, top = ends
    metal = _METALS[rng.integers(4)]
    side = int(rng.choice([-1, 1]))

    def beside(across: float, down: float) -> Floats:  # metres from the top of the pole
        return np.asarray(top + np.array([across, down]) * scale, np.float32)

    easel.bar(foot, top, prop.size * scale, metal)
    if prop.kind == "lamp":
        easel.bar(top, beside(side * 1.5, -0.15), prop.size * scale * 0.8, metal)
        lamp = beside(side * 1.5 - 0.35, -0.1), beside(side * 1.5 + 0.35, -0.1)
        easel.bar(*lamp, 0.26 * scale, (206, 204, 196))
    elif prop.kind == "sign":
        easel.disc(beside(0, 0.2), 0.36 * scale, (228, 228, 226))
        easel.disc(beside(0, 0.2), 0.29 * scale, _SIGNS[rng.integers(4)])
    else:
        easel.bar(beside(0, -0.1), beside(0, 0.95), 0.42 * scale, (34, 36, 38))
        lit = int(rng.integers(3))
        for lens, (red, green, blue) in enumerate(_LENSES):
            glow = 1.0 if lens == lit else 0.3
            colour = red * glow, green * glow, blue * glow
            easel.disc(beside(0, 0.1 + 0.32 * lens), 0.11 * scale, colour)
