"""Colours, in RGB."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]

COMPUTED: Colour = (255, 196, 46)  # amber: no class has it
REUSED: Colour = (150, 178, 204)
FAULT: Colour = (255, 104, 92)
INK: Colour = (238, 240, 242)
NIGHT: Colour = (14, 17, 22)

# What many networks know has the same colour whatever its label.
_NAMED: dict[str, Colour] = {
    "road": (112, 104, 140),
    "sidewalk": (204, 150, 178),
    "building": (150, 118, 104),
    "vegetation": (72, 156, 84),
    "tree": (72, 156, 84),
    "sky": (104, 172, 232),
    "pole": (186, 196, 206),
    "person": (232, 78, 96),
    "vehicle": (58, 98, 222),
    "car": (58, 98, 222),
    "bus": (28, 166, 172),
    "truck": (132, 92, 222),
    "bicycle": (176, 66, 150),
}

# The others: apart from each other and from COMPUTED.
_OTHERS: tuple[Colour, ...] = (
    (64, 188, 214),
    (236, 118, 186),
    (62, 178, 122),
    (170, 98, 206),
    (232, 92, 84),
    (94, 116, 168),
    (150, 190, 70),
    (196, 120, 74),
    (92, 92, 224),
    (46, 134, 130),
    (214, 168, 214),
    (140, 88, 92),
)


def class_colour(label: int, name: str) -> Colour:
    """The colour of a class."""
    if name.lower() in _NAMED:
        return _NAMED[name.lower()]
    if label < len(_OTHERS):
        return _OTHERS[label]
    hue = label * 0.618034 % 1  # a golden section on: never near one that was just taken
    strength, light = (0.75, 0.5)[label % 2], (0.85, 0.65, 0.95)[label % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, strength, light)
    return round(red * 255), round(green * 255), round(blue * 255)


@lru_cache(maxsize=16)
def class_colours(classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """The colour of each label of a segmentation: (256, 3)."""
    names = (*classes, *[""] * 256)[:256]
    return np.array([class_colour(label, name) for label, name in enumerate(names)], np.uint8)
