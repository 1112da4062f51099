"""Made-up scenes with known truth: `synthetic:NAME?option=value&option=value`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Generator
from functools import cached_property
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import SourceError
from streamdyn.sources.base import Nature, Options
from streamdyn.sources.pixels import ArrayPixels
from streamdyn.sources.report import SourceInfo, SourceReport
from streamdyn.sources.selection import Picture
from streamdyn.sources.single import SingleSource
from streamdyn.sources.undecoded import UNDECODED
from streamdyn.types import Pixels

# Name of a scene: its module and class.
_SCENES = {
    "square": ("streamdyn.sources.synthetic.square", "Square"),
    "street": ("streamdyn.sources.synthetic.street", "Street"),
}


class Scene(Protocol):
    """One rendered frame; what else it has is its truth."""

    @property
    def image(self) -> NDArray[np.uint8]: ...  # (H, W, 3) RGB


class SceneMaker(Protocol):
    """Renders the frames of a scene, in any order."""

    size: tuple[int, int]  # (height, width)
    fps: float

    def __len__(self) -> int: ...
    def render(self, index: int) -> Scene: ...


def open_spec(spec: str, options: Options) -> SyntheticSource:
    """A scene by its name, with options for its constructor."""
    name, _, query = spec.removeprefix("synthetic:").partition("?")
    if name not in _SCENES:
        raise SourceError(f"there is no synthetic:{name}; there is {', '.join(sorted(_SCENES))}")
    module, class_name = _SCENES[name]
    make = getattr(import_module(module), class_name)
    try:
        maker = make(**_read_options(make, query))
    except ValueError as error:
        raise SourceError(f"{spec}: {error}") from None
    return SyntheticSource(spec, name, maker, options)


class SyntheticSource(SingleSource):
    """The frames of a scene. `truth(index)` tells what is in them."""

    def __init__(self, url: str, name: str, maker: SceneMaker, options: Options) -> None:
        super().__init__(url, name, options)
        if options.fps is not None:
            raise SourceError(f"{url}: give the rate as an option of the scene, '{url}&fps=30'")
        self.maker = maker

    @cached_property
    def nature(self) -> Nature:
        return Nature(False, "made as fast as it is read")

    def info(self) -> SourceInfo:
        return SourceInfo(
            name=self.name,
            url=self.url,
            kind="synthetic",
            live=self.live,
            live_reason=self.live_reason,
            size=self.maker.size,
            pixel_format="rgb24",
            claimed_fps=self.maker.fps,
            claimed_seconds=len(self.maker) / self.maker.fps,
            claimed_frames=len(self.maker),
        )

    def truth(self, index: int) -> Any:
        """The scene of the frame of this index: its picture, and what is known of it.

        Indices count from `start`, as those of frames do.
        """
        return self.maker.render(self._first + index)

    def _pictures(self, report: SourceReport) -> Generator[Picture]:
        size = self.maker.size
        known = -1 if self._passed is None else self._passed.index
        for number, index in enumerate(range(self._first, len(self.maker))):
            pixels: Pixels = UNDECODED
            if number > known:
                pixels = ArrayPixels(self.maker.render(index).image, "rgb")
            yield Picture(index / self.maker.fps, pixels, size)

    @cached_property
    def _first(self) -> int:
        return math.ceil(self._options.selection.start * self.maker.fps - 1e-6)


def _read_options(make: type, query: str) -> dict[str, Any]:
    """Read `a=1&b=2` by the types of the defaults in the signature.

    Raises:
        ValueError: an option is unknown, or its value is not of the type of the default.
    """
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(make).parameters.items()
    }
    options = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in defaults:
            takes = ", ".join(f"{name}={default}" for name, default in defaults.items())
            raise ValueError(f"there is no option {name!r}; it takes {takes}")
        kind = type(defaults[name])
        try:
            options[name] = text.lower() in ("1", "true", "yes") if kind is bool else kind(text)
        except ValueError:
            raise ValueError(f"{name} must be of type {kind.__name__}, got {text!r}") from None
    return options
