"""What stands still in a synthetic street: ground, houses, sky, trees and poles, painted once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.sources.synthetic.street_camera import Camera, Floats, Light
from streamdyn.sources.synthetic.street_ground import Surface
from streamdyn.sources.synthetic.street_layout import (
    BUILDING,
    POLE,
    SKY,
    VEGETATION,
    Layout,
    Prop,
)
from streamdyn.sources.synthetic.street_props import paint_prop, shadow_outline
from streamdyn.sources.synthetic.street_textures import (
    LEAVES,
    SCALE,
    STRIP,
    WALL,
    Strip,
    as_uint8,
    grain,
)

_HAZE = 260.0  # metres in which the air takes two thirds of a colour away
_SHADE = np.array([1.0, 0.96, 0.88], np.float32)  # the sky lights what the sun does not: bluish


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The empty street, as wide as the camera ever sees it."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    shaded: NDArray[np.uint8]  # (H, W, 3), the same where everything lies in shadow
    labels: NDArray[np.uint8]  # (H, W)
    ground: NDArray[np.uint8]  # (H, W), 255 where a shadow can fall
    across: Floats  # (H, W), metres across the street to a tree or pole, infinite elsewhere

    def cut(self, left: int, width: int) -> Backdrop:
        """The columns that one frame shows, as views."""
        shown = np.s_[:, left : left + width]
        return Backdrop(
            self.image[shown],
            self.shaded[shown],
            self.labels[shown],
            self.ground[shown],
            self.across[shown],
        )


def paint_backdrop(
    rng: np.random.Generator, camera: Camera, light: Light, layout: Layout, size: tuple[int, int]
) -> Backdrop:
    """Paint a street as `camera` sees it on `size` (height, width) pixels."""
    painter = _Painter(rng, camera, light, layout, size)
    painter.sky()
    painter.walls()
    painter.ground()
    painter.haze()
    shadow = painter.shadows()[..., None]
    lit, dark = painter.image * np.asarray(light.tint, np.float32), _SHADE * light.shadow
    backdrop = Backdrop(
        image=as_uint8(lit * (1 - dark * shadow)),
        shaded=as_uint8(lit * (1 - dark)),
        labels=painter.labels,
        ground=np.where(painter.on_ground, np.uint8(255), np.uint8(0)),
        across=np.full(size, np.inf, np.float32),
    )
    depths = {prop: float(camera.project((prop.x, prop.y, 0.0))[1]) for prop in layout.props}
    for prop in sorted(depths, key=lambda prop: -depths[prop]):
        _place(backdrop, prop, camera, light)
    return backdrop


def _place(backdrop: Backdrop, prop: Prop, camera: Camera, light: Light) -> None:
    """Put a tree or a pole before what is painted already."""
    covered = paint_prop(backdrop.image, prop, camera, light)
    backdrop.shaded[covered] = backdrop.image[covered]
    backdrop.labels[covered] = VEGETATION if prop.kind == "tree" else POLE
    backdrop.ground[covered] = 0
    backdrop.across[covered] = abs(prop.y)


class _Painter:
    """Casts a ray through each pixel of a street without trees and poles."""

    def __init__(
        self,
        rng: np.random.Generator,
        camera: Camera,
        light: Light,
        layout: Layout,
        size: tuple[int, int],
    ) -> None:
        height, width = size
        self._rng, self._camera, self._light, self._layout = rng, camera, light, layout
        self._strips = [Strip.random(rng, light.lamps) for _ in ("near", "far")]
        self._rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
        self._along, self._across = camera.rays(np.arange(width, dtype=np.float32) + 0.5)
        far = self._across > 0
        wall_y = np.where(far, layout.far_wall, layout.near_wall)
        self._wall_depth = (wall_y / np.where(self._across == 0, 1e-6, self._across))[None]
        below = np.maximum(self._rows - camera.horizon, 1e-3)
        ground_depth = camera.focal * camera.height / below
        self._far = np.broadcast_to(far, size)
        self.on_ground = ground_depth < self._wall_depth
        self.depth = np.minimum(ground_depth, self._wall_depth).astype(np.float32)
        self.image = np.zeros((*size, 3), np.float32)
        self.labels = np.full(size, SKY, np.uint8)

    def sky(self) -> None:
        """A gradient with clouds."""
        light, (height, width) = self._light, self.labels.shape
        up = np.clip(1 - self._rows / self._camera.horizon, 0, 1)[..., None] ** 0.7
        colour = np.asarray(light.skyline) * (1 - up) + np.asarray(light.zenith) * up
        unit = max(height // 32, 1)
        noise = grain(self._rng, height, width, (unit * 2, unit * 4, unit * 9, unit * 9))
        cover = 0.8 * np.clip((noise - 1.2 + 1.9 * light.clouds) * 0.7, 0, 1)[..., None]
        cloud = np.asarray(light.skyline) * 0.5 + 118
        self.image[:] = colour * (1 - cover) + cloud * cover

    def walls(self) -> None:
        """The houses and hedges of both sides."""
        camera = self._camera
        x = np.broadcast_to(self._along * self._wall_depth, self.labels.shape)
        z = camera.height - (self._rows - camera.horizon) * self._wall_depth / camera.focal
        columns = np.mod(x, STRIP[0]).astype(np.float32) * SCALE
        foot = STRIP[1] * SCALE - 1  # the last row: a wall reaches down to the ground
        rows = np.minimum((STRIP[1] - z) * SCALE, foot).astype(np.float32)
        for side, strip in enumerate(self._strips):
            kind = np.asarray(cv2.remap(strip.kind, columns, rows, cv2.INTER_NEAREST))
            here = (self._far == bool(side)) & ~self.on_ground & (kind > 0)
            shade = self._light.shade((0, 1 - 2 * side, 0))
            self.image[here] = (self._sample(strip, columns, rows) * shade)[here]
            self.labels[here & (kind == WALL)] = BUILDING
            self.labels[here & (kind == LEAVES)] = VEGETATION

    def _sample(self, strip: Strip, columns: Floats, rows: Floats) -> Floats:
        """The strip's colours, from a copy as coarse as the pixels are: no moire far away."""
        coarse, image = strip.image, np.zeros((*columns.shape, 3), np.float32)
        texels = SCALE * self.depth / self._camera.focal  # per pixel
        for level in range(4):
            scale = 2.0**level
            at_level = texels > scale * 0.75 if level else np.ones_like(texels, bool)
            if at_level.any():
                at = columns / scale, rows / scale
                sampled = cv2.remap(coarse, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                image[at_level] = sampled[at_level]
            coarse = cv2.pyrDown(coarse).astype(np.uint8, copy=False)
        return image

    def ground(self) -> None:
        """Road, sidewalks and grass."""
        where = self.on_ground
        depth = self.depth[where]
        x = np.broadcast_to(self._along, where.shape)[where] * depth
        y = np.broadcast_to(self._across, where.shape)[where] * depth
        surface = Surface(self._rng, x, y, depth)
        self.image[where], self.labels[where] = surface.paint(self._layout)

    def haze(self) -> None:
        """What is far takes the colour of the skyline."""
        share = np.exp(-self.depth / _HAZE)[..., None]
        hazy = self.image * share + np.asarray(self._light.skyline, np.float32) * (1 - share)
        seen = self.labels != SKY
        self.image[seen] = hazy[seen]

    def shadows(self) -> Floats:
        """How deep in the shadow of houses, trees and poles the ground lies: (H, W) in [0, 1]."""
        depth, light, layout = np.where(self.on_ground, self.depth, 0), self._light, self._layout
        x, y = self._along * depth, self._across * depth
        shadow = np.zeros(self.labels.shape, np.float32)
        for strip, wall in zip(self._strips, (layout.near_wall, layout.far_wall), strict=True):
            if (light.sun[1] > 0) != (wall < 0):
                continue  # it falls away from the street
            needed = (y - wall) / light.sun[1]  # metres of height that reach so far
            foot = np.mod(x - needed * light.sun[0], STRIP[0]) * SCALE
            shadow[strip.tops[np.minimum(foot.astype(int), len(strip.tops) - 1)] > needed] = 1
        for prop in layout.props:
            pixels, depths = self._camera.project(shadow_outline(prop, light))
            if depths.min() > 1.0:
                cv2.fillConvexPoly(shadow, cv2.convexHull(np.rint(pixels).astype(np.int32)), 1)
        shadow[~self.on_ground] = 0
        return np.asarray(cv2.GaussianBlur(shadow, (5, 5), 0), np.float32)
