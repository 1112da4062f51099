"""The ground of a synthetic street: asphalt with its markings, paving slabs and grass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamdyn.sources.synthetic.street_camera import Floats
from streamdyn.sources.synthetic.street_layout import ROAD, SIDEWALK, VEGETATION, Layout
from streamdyn.sources.synthetic.street_textures import grain

_GRAIN_CELLS = 512  # side of a tile of noise, in cells


class Surface:
    """Colours of the ground at world points `x`, `y` (N,), seen from `depth` (N,) metres."""

    def __init__(self, rng: np.random.Generator, x: Floats, y: Floats, depth: Floats) -> None:
        self._rng, self._x, self._y = rng, x, y
        tile = grain(rng, _GRAIN_CELLS, _GRAIN_CELLS, (1, 3, 8))
        near = np.clip(1.3 - depth / 60, 0.15, 1)  # fine grain averages out far away
        self._fine = self._noise(tile, 14) * near
        self._coarse = self._noise(tile, 1.1)
        self._near = near

    def _noise(self, tile: Floats, cells_per_metre: float) -> Floats:
        column = (self._x * cells_per_metre).astype(np.int32) % _GRAIN_CELLS
        row = (self._y * cells_per_metre).astype(np.int32) % _GRAIN_CELLS
        values: Floats = tile[row, column]
        return values

    def paint(self, layout: Layout) -> tuple[Floats, NDArray[np.uint8]]:
        """Colours (N, 3) and classes (N,) of the ground."""
        edges = (layout.near_kerb, layout.far_kerb, layout.verge)
        zone = np.searchsorted(np.array(edges, np.float32), self._y)
        kinds = np.array([SIDEWALK, ROAD, VEGETATION, SIDEWALK], np.uint8)[zone]
        colours = np.empty((len(kinds), 3), np.float32)
        paints = {SIDEWALK: self._slabs(), VEGETATION: self._grass(), ROAD: self._road(layout)}
        for kind, paint in paints.items():
            colours[kinds == kind] = paint[kinds == kind]
        for edge in edges[:2]:
            kerb = np.abs(self._y - edge) < 0.12
            colours[kerb] = 176 * (1 + 0.05 * self._fine[kerb, None])
        return colours, kinds

    def _slabs(self) -> Floats:
        """A pavement."""
        rng = self._rng
        tone = np.array(rng.choice([[168, 160, 150], [150, 150, 150], [178, 158, 138]]), float)
        size = rng.uniform(0.6, 1.4)
        seam = np.minimum(np.mod(self._x, size), np.mod(self._y, size * 0.8)) < 0.045
        value = rng.uniform(0.9, 1.08) * (1 + 0.05 * self._fine + 0.06 * self._coarse)
        value = value * (1 - 0.24 * seam * self._near)
        return (tone * value[:, None]).astype(np.float32)

    def _grass(self) -> Floats:
        """A verge."""
        tone = np.array([86, 124, 54]) * self._rng.uniform(0.8, 1.1)
        value = 1 + 0.2 * self._fine + 0.16 * self._coarse
        return (tone * value[:, None]).astype(np.float32)

    def _road(self, layout: Layout) -> Floats:
        """Asphalt, darker where wheels run, with lines and a crossing."""
        rng, y = self._rng, self._y
        tone = np.array([98, 98, 102]) * rng.uniform(0.7, 1.12)
        value = 1 + 0.075 * self._fine + 0.06 * self._coarse
        for lane, _ in layout.lanes():
            for wheel in (-0.8, 0.8):
                value -= 0.07 * np.exp(-(((y - lane - wheel) / 0.3) ** 2))
        paint = self._markings(layout) & (self._coarse > -1.9)
        colours = tone * value[:, None]
        colours[paint] = 204 * (1 + 0.06 * self._fine[paint, None])
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
        stripes &= (rng.random() < 0.7) & (y < layout.far_kerb - layout.parking)
        marked: NDArray[np.bool_] = lines | stripes
        return marked
