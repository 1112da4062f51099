"""What stands still in a synthetic street: ground, houses, sky, trees and poles, painted once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.sources.synthetic.street_camera import Camera, Floats, Light
from streamdyn.sources.synthetic.street_layout import (
    BUILDING,
    POLE,
    ROAD,
    SIDEWALK,
    SKY,
    VEGETATION,
    Layout,
    Prop,
)  # fmt: skip
from streamdyn.sources.synthetic.street_textures import (
    LEAVES,
    SCALE,
    STRIP,
    WALL,
    Foliage,
    Strip,
    grain,
)  # fmt: skip

_HAZE = 260.0  # metres in which the air takes two thirds of a colour away
_GRAIN_CELLS = 512  # side of a tile of ground noise, in cells


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The empty street, as wide as the camera ever sees it."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    shaded: NDArray[np.uint8]  # (H, W, 3), the same where everything lies in shadow
    labels: NDArray[np.uint8]  # (H, W)
    ground: NDArray[np.uint8]  # (H, W), 255 where a shadow can fall
    depth: Floats  # (H, W), metres to what is upright, infinite elsewhere


def paint_backdrop(
    rng: np.random.Generator, camera: Camera, light: Light, layout: Layout, size: tuple[int, int]
) -> Backdrop:
    """Paint a street as `camera` sees it on `size` (height, width) pixels."""
    painter = _Painter(rng, camera, light, layout, size)
    painter.sky()
    painter.walls()
    painter.ground()
    painter.haze()
    shadow = painter.shadows()
    upright = np.full(size, np.inf, np.float32)
    upright[painter.labels == BUILDING] = painter.depth[painter.labels == BUILDING]
    ground = np.where(painter.on_ground, np.uint8(255), np.uint8(0))
    lit = painter.image * np.asarray(light.tint, np.float32)
    dark = np.array([1.0, 0.96, 0.88], np.float32) * light.shadow
    shaded = _as_uint8(lit * (1 - dark))
    image = _as_uint8(lit * (1 - dark * shadow[..., None]))
    canvas = Backdrop(image, shaded, painter.labels, ground, upright)
    for prop in sorted(layout.props, key=lambda prop: -_depth_of(camera, prop)):
        _paint_prop(canvas, prop, camera, light)
    return canvas


class _Painter:
    """Casts a ray through each pixel of an empty street."""

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
        self._rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
        self._along, self._across = camera.rays(np.arange(width, dtype=np.float32) + 0.5)
        far = self._across > 0
        wall_y = np.where(far, layout.far_wall, layout.near_wall)
        self._wall_depth = (wall_y / np.where(self._across == 0, 1e-6, self._across))[None]
        below = np.maximum(self._rows - camera.horizon, 1e-3)
        ground_depth = camera.focal * camera.height / below
        self.on_ground = ground_depth < self._wall_depth
        self.depth = np.minimum(ground_depth, self._wall_depth).astype(np.float32)
        self.image = np.zeros((*size, 3), np.float32)
        self.labels = np.full(size, SKY, np.uint8)
        self._far = np.broadcast_to(far, size)
        self._strips = [Strip.random(rng, light.lamps) for _ in range(2)]  # near, far

    def sky(self) -> None:
        """A gradient with clouds."""
        light, (height, width) = self._light, self.labels.shape
        up = np.clip(1 - self._rows / self._camera.horizon, 0, 1)[..., None] ** 0.7
        colour = np.asarray(light.skyline) * (1 - up) + np.asarray(light.zenith) * up
        unit = max(height // 32, 1)
        noise = grain(self._rng, height, width, (unit * 2, unit * 4, unit * 9, unit * 9))
        cover = np.clip((noise - 1.2 + 1.9 * light.clouds) * 0.7, 0, 1)[..., None]
        cloud = np.asarray(light.skyline) * 0.5 + 118
        self.image[:] = colour * (1 - 0.8 * cover) + cloud * 0.8 * cover

    def walls(self) -> None:
        """The houses and hedges of both sides."""
        camera = self._camera
        x = np.broadcast_to(self._along * self._wall_depth, self.labels.shape)
        z = camera.height - (self._rows - camera.horizon) * self._wall_depth / camera.focal
        columns = np.mod(x, STRIP[0]).astype(np.float32) * SCALE
        rows = ((STRIP[1] - z) * SCALE).astype(np.float32)
        for side, strip in enumerate(self._strips):
            kind = cv2.remap(
                strip.kind, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT
            )
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
                sampled = cv2.remap(
                    coarse, columns / scale, rows / scale, cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE,
                )  # fmt: skip
                image[at_level] = sampled[at_level]
            coarse = cv2.pyrDown(coarse)
        return image

    def ground(self) -> None:
        """Road with markings, sidewalks with slabs, and grass."""
        layout, where = self._layout, self.on_ground
        depth = self.depth[where]
        x = np.broadcast_to(self._along, where.shape)[where] * depth
        y = np.broadcast_to(self._across, where.shape)[where] * depth
        surface = _Surface(self._rng, x, y, depth)
        edges = (layout.near_kerb, layout.far_kerb, layout.verge)
        zone = np.searchsorted(np.array(edges, np.float32), y)
        kinds = np.array([SIDEWALK, ROAD, VEGETATION, SIDEWALK], np.uint8)[zone]
        colours = np.empty((len(x), 3), np.float32)
        for kind, paint in ((SIDEWALK, surface.slabs), (VEGETATION, surface.grass)):
            colours[kinds == kind] = paint()[kinds == kind]
        colours[kinds == ROAD] = surface.road(layout)[kinds == ROAD]
        for edge in edges[:2]:
            kerb = np.abs(y - edge) < 0.12
            colours[kerb] = 176 * (1 + 0.05 * surface.fine[kerb, None])
        self.image[where] = colours
        self.labels[where] = kinds

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
            outline = _shadow_outline(prop, light)
            pixels, depths = self._camera.project(outline)
            if depths.min() > 1.0:
                cv2.fillConvexPoly(shadow, cv2.convexHull(np.rint(pixels).astype(np.int32)), 1)
        shadow[~self.on_ground] = 0
        return cv2.GaussianBlur(shadow, (5, 5), 0).astype(np.float32)


class _Surface:
    """Colours of the ground at world points `x`, `y` (N,), seen from `depth` (N,) metres."""

    def __init__(self, rng: np.random.Generator, x: Floats, y: Floats, depth: Floats) -> None:
        self._rng, self._x, self._y = rng, x, y
        tile = grain(rng, _GRAIN_CELLS, _GRAIN_CELLS, (1, 3, 8))
        near = np.clip(1.3 - depth / 60, 0.15, 1)  # fine grain averages out far away
        self.fine = self._noise(tile, 14) * near
        self._coarse = self._noise(tile, 1.1)
        self._near = near

    def _noise(self, tile: Floats, cells_per_metre: float) -> Floats:
        column = (self._x * cells_per_metre).astype(np.int32) % _GRAIN_CELLS
        row = (self._y * cells_per_metre).astype(np.int32) % _GRAIN_CELLS
        values: Floats = tile[row, column]
        return values

    def slabs(self) -> Floats:
        """A pavement."""
        rng = self._rng
        tone = np.array(rng.choice([[168, 160, 150], [150, 150, 150], [178, 158, 138]]), float)
        size = rng.uniform(0.6, 1.4)
        seam = np.minimum(np.mod(self._x, size), np.mod(self._y, size * 0.8)) < 0.045
        value = rng.uniform(0.9, 1.08) * (1 + 0.05 * self.fine + 0.06 * self._coarse)
        value = value * (1 - 0.24 * seam * self._near)
        return (tone * value[:, None]).astype(np.float32)

    def grass(self) -> Floats:
        """A verge."""
        tone = np.array([86, 124, 54]) * self._rng.uniform(0.8, 1.1)
        value = 1 + 0.2 * self.fine + 0.16 * self._coarse
        return (tone * value[:, None]).astype(np.float32)

    def road(self, layout: Layout) -> Floats:
        """Asphalt, darker where wheels run, with lines and a crossing."""
        rng, y = self._rng, self._y
        tone = np.array([98, 98, 102]) * rng.uniform(0.7, 1.12)
        value = 1 + 0.075 * self.fine + 0.06 * self._coarse
        for lane, _ in layout.lanes():
            for wheel in (-0.8, 0.8):
                value -= 0.07 * np.exp(-(((y - lane - wheel) / 0.3) ** 2))
        paint = self._markings(layout) & (self._coarse > -1.9)
        colours = tone * value[:, None]
        colours[paint] = 204 * (1 + 0.06 * self.fine[paint, None])
        return colours.astype(np.float32)

    def _markings(self, layout: Layout) -> NDArray[np.bool_]:
        rng, x, y = self._rng, self._x, self._y
        middle = (layout.near_kerb + layout.far_kerb - layout.parking) / 2
        dash, solid = rng.uniform(2.0, 4.0), rng.random() < 0.3
        lines = (np.abs(y - middle) < 0.08) & (solid | (np.mod(x, dash * 2) < dash))
        lines |= np.abs(y - layout.near_kerb - 0.35) < 0.06
        if layout.parking:
            bay = layout.far_kerb - layout.parking
            lines |= np.abs(y - bay) < 0.06
            lines |= (y > bay) & (np.mod(x, 5.8) < 0.12)
        crossing = rng.uniform(4, 40)
        stripes = (np.abs(x - crossing) < 1.7) & (np.mod(y, 1.1) < 0.55)
        return lines | (stripes & (rng.random() < 0.7) & (y < layout.far_kerb - layout.parking))


def _depth_of(camera: Camera, prop: Prop) -> float:
    return float(camera.project((prop.x, prop.y, 0.0))[1])


def _shadow_outline(prop: Prop, light: Light) -> Floats:
    """Corners on the ground of what a tree's crown or a pole darkens: (N, 3)."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    if prop.kind == "tree":
        height = prop.height - prop.size * 0.5
        ring = prop.size * (1 + 0.4 * np.hypot(*light.sun))
        x = prop.x + light.sun[0] * height + ring * np.cos(angles)
        y = prop.y + light.sun[1] * height + prop.size * np.sin(angles)
    else:
        reach = np.repeat([0.0, prop.height], 8)
        x = prop.x + light.sun[0] * reach + prop.size * np.cos(angles)
        y = prop.y + light.sun[1] * reach + prop.size * np.sin(angles)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.float32)


def _paint_prop(canvas: Backdrop, prop: Prop, camera: Camera, light: Light) -> None:
    rng = np.random.default_rng(prop.seed)
    depth = _depth_of(camera, prop)
    scale = camera.focal / depth
    mask = np.zeros(canvas.labels.shape, np.uint8)
    layer = canvas.image.copy()
    (column, foot), (_, top) = camera.project([(prop.x, prop.y, 0), (prop.x, prop.y, prop.height)])[
        0
    ]
    if prop.kind == "tree":
        trunk = (column, foot, column, top + prop.size * scale)
        _bar(layer, mask, trunk, prop.size * 0.16 * scale, (84, 68, 54))
        radii = prop.size * scale, prop.size * scale * rng.uniform(0.9, 1.25)
        Foliage.random(rng).paint(rng, layer, mask, (column, top + radii[1]), radii)
    else:
        _paint_pole(layer, mask, prop, (column, foot, top), scale)
    chosen = mask > 0
    if prop.kind == "tree":
        height, width = mask.shape
        unit = max(height // 256, 1)
        leaves = 1 + 0.17 * grain(rng, height, width, (unit, unit * 4))
        layer[chosen] = _as_uint8(layer[chosen] * leaves[chosen][:, None])
    tone = np.asarray(light.tint, np.float32) * (0.8 + 0.35 * light.shadow)
    canvas.image[chosen] = _as_uint8(layer[chosen] * tone)
    canvas.shaded[chosen] = canvas.image[chosen]
    canvas.labels[chosen] = VEGETATION if prop.kind == "tree" else POLE
    canvas.ground[chosen] = 0
    canvas.depth[chosen] = depth


def _paint_pole(
    layer: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    prop: Prop,
    at: tuple[float, float, float],
    scale: float,
) -> None:
    rng = np.random.default_rng(prop.seed + 1)
    column, foot, top = at
    metal = [(96, 100, 104), (60, 64, 66), (140, 144, 148), (52, 74, 62)][rng.integers(4)]
    _bar(layer, mask, (column, foot, column, top), prop.size * scale, metal)
    side = rng.choice([-1, 1])
    if prop.kind == "lamp":
        arm = column + side * 1.5 * scale
        _bar(layer, mask, (column, top, arm, top - 0.15 * scale), prop.size * scale * 0.8, metal)
        lamp = (arm - 0.35 * scale, top - 0.1 * scale, arm + 0.35 * scale, top - 0.1 * scale)
        _bar(layer, mask, lamp, 0.26 * scale, (206, 204, 196))
    elif prop.kind == "sign":
        face = [(186, 40, 42), (36, 84, 160), (236, 232, 224), (226, 178, 40)][rng.integers(4)]
        centre, radius = (round(column), round(top + 0.2 * scale)), max(round(0.36 * scale), 1)
        cv2.circle(mask, centre, radius, 255, cv2.FILLED)
        cv2.circle(layer, centre, radius, (228, 228, 226), cv2.FILLED)
        cv2.circle(layer, centre, max(round(radius * 0.8), 1), face, cv2.FILLED)
    else:
        box = (column, top - 0.1 * scale, column, top + 0.95 * scale)
        _bar(layer, mask, box, 0.42 * scale, (34, 36, 38))
        lit = int(rng.integers(3))
        for lens, colour in enumerate(((228, 52, 40), (240, 180, 40), (60, 210, 110))):
            centre = round(column), round(top + (0.1 + 0.32 * lens) * scale)
            tone = colour if lens == lit else tuple(channel * 0.3 for channel in colour)
            cv2.circle(layer, centre, max(round(0.11 * scale), 1), tone, cv2.FILLED)


def _bar(
    layer: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    ends: tuple[float, float, float, float],
    width: float,
    colour: tuple[float, float, float],
) -> None:
    """A straight piece from x0 y0 to x1 y1, `width` pixels wide, lit from the left."""
    start, end = np.array(ends[:2]), np.array(ends[2:])
    along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
    across = np.array([-along[1], along[0]]) * max(width, 1.0) / 2
    for share, tone in ((1.0, 0.75), (0.45, 1.2)):
        corners = [start + across, start - across * share, end - across * share, end + across]
        corners = np.rint(np.array(corners) * 8).astype(np.int32)
        cv2.fillConvexPoly(
            layer, corners, [min(channel * tone, 255.0) for channel in colour], shift=3
        )
        cv2.fillConvexPoly(mask, corners, 255, shift=3)


def _as_uint8(image: Floats) -> NDArray[np.uint8]:
    return np.clip(image, 0, 255).astype(np.uint8)
