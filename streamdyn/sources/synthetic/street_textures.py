"""Surfaces of a synthetic street: grain, foliage, and strips of facades."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.sources.synthetic.street_camera import Colour, Floats

SCALE = 20  # texture pixels per metre
STRIP = (240.0, 22.0)  # length and height in metres of a strip of facades; it repeats
_LEAF = 0.04, 0.15  # radius of a blob of leaves, in radii of the whole
NOTHING, WALL, LEAVES = 0, 1, 2  # what a strip shows: the sky behind it, a house, a hedge

_WALLS: tuple[Colour, ...] = (
    (166, 88, 66), (142, 76, 62), (214, 198, 164), (198, 168, 116), (226, 222, 212),
    (174, 168, 158), (138, 140, 146), (196, 152, 132), (168, 178, 172), (120, 98, 84),
)  # fmt: skip
_SIGNS: tuple[Colour, ...] = (
    (178, 34, 40), (28, 84, 148), (24, 112, 72), (222, 168, 30), (40, 40, 46), (236, 232, 222),
)  # fmt: skip


def grain(rng: np.random.Generator, height: int, width: int, cells: tuple[int, ...]) -> Floats:
    """Noise (height, width) of about unit variance, as a sum of patches of `cells` pixels."""
    total = np.zeros((height, width), np.float32)
    for cell in cells:
        shape = (-(-height // cell) + 1, -(-width // cell) + 1)
        coarse = rng.standard_normal(shape, np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return total / np.float32(len(cells) ** 0.5)


def as_uint8(image: Floats) -> NDArray[np.uint8]:
    """Colours, cut to what a pixel can hold."""
    return np.clip(image, 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Foliage:
    """How to paint leaves: blobs, dark below and light above."""

    colour: Colour
    blobs: int

    @classmethod
    def random(cls, rng: np.random.Generator) -> Foliage:
        """Leaves of a random green, now and then of autumn."""
        green = (rng.uniform(44, 96), rng.uniform(88, 134), rng.uniform(34, 62))
        autumn = (rng.uniform(140, 190), rng.uniform(96, 130), rng.uniform(30, 50))
        colour = autumn if rng.random() < 0.12 else green
        return cls(colour, int(rng.integers(500, 900)))

    def paint(
        self,
        rng: np.random.Generator,
        image: NDArray[np.uint8],
        mask: NDArray[np.uint8],
        centre: tuple[float, float],
        radii: tuple[float, float],
    ) -> None:
        """Paint an ellipse of leaves on `image` (H, W, 3), and 255 on `mask` (H, W)."""
        angles = rng.uniform(0, 2 * np.pi, self.blobs)
        reach = np.sqrt(rng.uniform(0, 1, self.blobs)) * 0.88
        across, down = reach * np.cos(angles), reach * np.sin(angles)
        tones = 0.78 - 0.26 * down + rng.normal(0, 0.14, self.blobs)
        sizes = rng.uniform(*_LEAF, self.blobs) * min(radii)
        body = (round(centre[0]), round(centre[1])), (round(radii[0] * 0.8), round(radii[1] * 0.8))
        base = tuple(channel * 0.55 for channel in self.colour)
        cv2.ellipse(image, *body, 0, 0, 360, base, cv2.FILLED)
        cv2.ellipse(mask, *body, 0, 0, 360, 255, cv2.FILLED)
        order = np.argsort(tones + rng.normal(0, 0.15, self.blobs))
        spots = np.stack([centre[0] + across * radii[0], centre[1] + down * radii[1]], axis=-1)
        colours = np.minimum(np.outer(tones, self.colour), 255)[order].tolist()
        widths = np.maximum(np.rint(sizes), 1).astype(int)[order].tolist()
        for at, radius, colour in zip(
            np.rint(spots).astype(int)[order].tolist(), widths, colours, strict=True
        ):
            cv2.circle(image, at, radius, colour, cv2.FILLED)
            cv2.circle(mask, at, radius, 255, cv2.FILLED)


@dataclass(frozen=True, slots=True)
class Strip:
    """One side of the street, seen from the front."""

    image: NDArray[np.uint8]  # (rows, columns, 3), the top row first, SCALE pixels per metre
    kind: NDArray[np.uint8]  # (rows, columns), NOTHING, WALL or LEAVES
    tops: Floats  # (columns,), height in metres of what stands there

    @classmethod
    def random(cls, rng: np.random.Generator, lamps: float) -> Strip:
        """Houses of two to five floors, with a hedge or a garden here and there."""
        columns, rows = (round(metres * SCALE) for metres in STRIP)
        image = np.zeros((rows, columns, 3), np.uint8)
        kind = np.full((rows, columns), NOTHING, np.uint8)
        gardens = rng.uniform(0.05, 0.35)
        floors = rng.uniform(2.0, 4.2)
        start = 0
        while start < columns:
            end = min(start + round(rng.uniform(7, 17) * SCALE), columns)
            end = columns if columns - end < 5 * SCALE else end
            part = np.s_[:, start:end]
            if rng.random() < gardens:
                _hedge(rng, image[part], kind[part])
            else:
                count = int(np.clip(round(rng.normal(floors, 0.8)), 1, 6))
                _house(rng, image[part], kind[part], count, lamps)
            start = end
        tops = (kind != NOTHING).sum(axis=0) / np.float32(SCALE)
        return cls(image, kind, tops.astype(np.float32))


def _hedge(rng: np.random.Generator, image: NDArray[np.uint8], kind: NDArray[np.uint8]) -> None:
    rows, columns = kind.shape
    foliage = Foliage.random(rng)
    mask = np.zeros_like(kind)
    image[:] = [channel * 0.5 for channel in foliage.colour]
    top = rows - round(rng.uniform(1.4, 2.6) * SCALE)
    mask[top:] = 255
    for _ in range(max(round(columns / SCALE * 0.7), 2)):
        height = rng.uniform(1.5, 5.5) * SCALE
        centre = rng.uniform(0, columns), rows - height * 0.6
        foliage.paint(rng, image, mask, centre, (rng.uniform(1.2, 2.6) * SCALE, height * 0.62))
    speckle = 1 + 0.16 * grain(rng, rows, columns, (3, 9))
    image[:] = np.clip(image * speckle[..., None], 0, 255)
    kind[mask > 0] = LEAVES


def _house(
    rng: np.random.Generator,
    image: NDArray[np.uint8],
    kind: NDArray[np.uint8],
    floors: int,
    lamps: float,
) -> None:
    rows, columns = kind.shape
    ground, storey = rng.uniform(3.2, 4.0) * SCALE, rng.uniform(2.7, 3.2) * SCALE
    top = max(rows - round(ground + (floors - 1) * storey + 0.8 * SCALE), 0)
    wall = np.array(_WALLS[rng.integers(len(_WALLS))]) * rng.uniform(0.82, 1.1)
    kind[top:] = WALL
    image[top:] = np.clip(wall * _masonry(rng, rows - top, columns)[..., None], 0, 255)
    roof = top + round(rng.uniform(0.3, 1.6) * SCALE)
    image[top:roof] = np.clip(wall * rng.uniform(0.45, 0.8), 0, 255)
    cv2.rectangle(image, (0, roof), (columns, roof + SCALE // 4), (wall * 1.15).tolist(), -1)
    for floor in range(1, floors):
        sill = rows - ground - (floor - 1) * storey - 0.8 * SCALE
        _windows(rng, image, round(sill), lamps)
    if rng.random() < 0.55:
        _shop(rng, image, round(rows - ground), lamps)
    else:
        _windows(rng, image, round(rows - 1.1 * SCALE), lamps)
        _door(rng, image)
    cv2.line(image, (columns - 2, top), (columns - 2, rows), (wall * 0.6).tolist(), 2)
    image[-round(0.4 * SCALE) :] = image[-round(0.4 * SCALE) :] * 0.72


def _masonry(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Brightness of a wall: bricks, panels or plaster."""
    stains = 1 + 0.035 * grain(rng, rows, columns, (4, 24, 90))
    style = rng.integers(3)
    if style == 0:  # bricks
        course, length = 5, 11
        bricks = rng.normal(1, 0.09, (rows // course + 1, columns // length + 1))
        bricks = bricks.repeat(course, 0)[:rows].repeat(length, 1)[:, :columns]
        bricks[::course] *= 0.86
        stains = stains * bricks
    elif style == 1:  # panels
        stains[:: round(rng.uniform(1.0, 3.0) * SCALE)] *= 0.8
        stains[:, :: round(rng.uniform(1.2, 3.0) * SCALE)] *= 0.84
    return stains.astype(np.float32)


def _windows(rng: np.random.Generator, image: NDArray[np.uint8], sill: int, lamps: float) -> None:
    columns = image.shape[1]
    width, height = round(rng.uniform(0.9, 1.5) * SCALE), round(rng.uniform(1.3, 1.8) * SCALE)
    count = max(int(columns / (width * rng.uniform(1.7, 2.6))), 1)
    frame = [float(rng.choice([236, 214, 70, 110]))] * 3
    for middle in (np.arange(count) + 0.5) * columns / count:
        left, top = round(middle - width / 2), sill - height
        _glass(rng, image, (left, top, width, height), lamps)
        cv2.rectangle(image, (left, top), (left + width, sill), frame, 2)
        cv2.line(image, (round(middle), top), (round(middle), sill), frame, 1)
        cv2.line(image, (left - 3, sill + 2), (left + width + 3, sill + 2), frame, 3)


def _glass(
    rng: np.random.Generator, image: NDArray[np.uint8], box: tuple[int, int, int, int], lamps: float
) -> None:
    left, top, width, height = box
    pane = image[max(top, 0) : top + height, max(left, 0) : left + width]
    if rng.random() < lamps:
        inside = np.array([250.0, 214, 140]) * rng.uniform(0.7, 1.0)
    else:
        inside = np.array([64.0, 80, 98]) * rng.uniform(0.5, 1.5)
    slope = np.linspace(1.25, 0.8, len(pane))[:, None, None]
    pane[:] = np.clip(inside * slope, 0, 255)
    if rng.random() < 0.35:  # a curtain
        pane[:, : width // 4] = np.clip(inside * 1.2 + 50, 0, 255)
        pane[:, -(width // 4) :] = np.clip(inside * 1.2 + 50, 0, 255)


def _shop(rng: np.random.Generator, image: NDArray[np.uint8], top: int, lamps: float) -> None:
    rows, columns = image.shape[:2]
    sign = _SIGNS[rng.integers(len(_SIGNS))]
    beam = top + round(0.75 * SCALE)
    _glass(rng, image, (8, beam, columns - 16, rows - beam - 10), max(lamps, 0.2))
    for column in range(8, columns, round(rng.uniform(1.4, 2.6) * SCALE)):
        cv2.line(image, (column, beam), (column, rows), (50, 50, 54), 3)
    cv2.rectangle(image, (6, top), (columns - 6, beam), sign, -1)
    ink = (240, 238, 230) if sum(sign) < 420 else (40, 36, 34)
    column = columns // 5
    while column < columns * 4 // 5:  # strokes that read as lettering from afar
        size = int(rng.integers(4, 10))
        cv2.rectangle(image, (column, top + 4), (column + size - 3, beam - 4), ink, -1)
        column += size + int(rng.integers(0, 4))
    if rng.random() < 0.5:  # an awning
        for stripe, column in enumerate(range(6, columns - 6, 8)):
            tone = sign if stripe % 2 else (236, 232, 226)
            cv2.rectangle(image, (column, beam), (column + 7, beam + SCALE * 3 // 5), tone, -1)


def _door(rng: np.random.Generator, image: NDArray[np.uint8]) -> None:
    rows, columns = image.shape[:2]
    left = round(rng.uniform(0.1, 0.8) * columns)
    right, top = left + round(1.1 * SCALE), rows - round(2.3 * SCALE)
    tone = (np.array(_SIGNS[rng.integers(len(_SIGNS))]) * 0.6).tolist()
    cv2.rectangle(image, (left, top), (right, rows), tone, -1)
    cv2.rectangle(image, (left, top), (right, rows), (210, 206, 198), 2)
