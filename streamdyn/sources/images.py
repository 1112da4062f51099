"""Image files in a row, as a stream."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import SourceError
from streamdyn.sources.base import Nature, Options
from streamdyn.sources.naming import natural_order
from streamdyn.sources.opening import require_path
from streamdyn.sources.pixels import ArrayPixels
from streamdyn.sources.report import SourceInfo, SourceReport
from streamdyn.sources.selection import Picture
from streamdyn.sources.single import SingleSource
from streamdyn.sources.undecoded import UNDECODED

_DEFAULT_FPS = 25.0
_NUMBER = re.compile(r"%(?:0(\d+))?d")


def open_spec(spec: str, options: Options) -> ImageSequence:
    """An image, or a pattern such as img_%04d.png."""
    path = Path(spec)
    if path.exists() or not _NUMBER.search(path.name):
        return ImageSequence(spec, [require_path(path)], options)
    return ImageSequence(spec, _numbered(path), options)


class ImageSequence(SingleSource):
    """Images as the frames of a stream of steady rate. One that cannot be read is left out."""

    def __init__(self, url: str, files: Sequence[Path], options: Options) -> None:
        super().__init__(url, _NUMBER.sub("", Path(url).stem), options)
        self._files = files
        self._fps = options.fps or _DEFAULT_FPS

    @cached_property
    def nature(self) -> Nature:
        return Nature(False, "image files")

    def info(self) -> SourceInfo:
        readable = (image for path in self._files if (image := _read(path)) is not None)
        image = next(readable, None)
        if image is None:
            raise self._no_frame()
        return SourceInfo(
            name=self.name,
            url=self.url,
            kind="images",
            live=self.live,
            live_reason=self.live_reason,
            size=(image.shape[0], image.shape[1]),
            codec=self._files[0].suffix[1:].lower(),
            pixel_format="gray" if image.ndim == 2 else "rgb24",
            claimed_fps=self._fps,
            claimed_seconds=len(self._files) / self._fps,
            claimed_frames=len(self._files),
        )

    def _pictures(self, report: SourceReport) -> Generator[Picture]:
        first = int(np.ceil(self.selection.start * self._fps - 1e-6))
        whole_until = first + self._whole_until(first)
        for number, path in enumerate(self._files[first:], first):
            seconds = number / self._fps
            if number < whole_until:
                yield Picture(seconds, UNDECODED, (0, 0))
                continue
            image = _read(path)
            if image is None:
                end = (number + 1) / self._fps
                report.add_damage(seconds, end, f"{path.name} cannot be read as an image")
                continue
            pixels = ArrayPixels(image, "gray" if image.ndim == 2 else "bgr")
            yield Picture(seconds, pixels, (image.shape[0], image.shape[1]))

    def _whole_until(self, first: int) -> int:
        """How many images, from the first on, are known to be readable: the time of a frame tells
        whether any before it was not."""
        place = self._passed
        if place is None or round(place.pts_seconds * self._fps) - first != place.index:
            return 0
        return place.index + 1


def _read(path: Path) -> NDArray[np.uint8] | None:
    """Decode an image to (H, W, 3) BGR or (H, W), upright; None if it cannot be."""
    try:  # not imread, which cannot take every path on every system
        coded = np.fromfile(path, np.uint8)
    except OSError:
        return None
    flags = cv2.IMREAD_ANYCOLOR  # 8 bits, grey where it is grey, turned by EXIF
    image = cv2.imdecode(coded, flags) if coded.size else None
    return None if image is None else image.astype(np.uint8, copy=False)


def _numbered(pattern: Path) -> list[Path]:
    """The files that a pattern stands for, in the order of their numbers, which may have gaps."""
    head, width, tail = _NUMBER.split(pattern.name, maxsplit=1)
    digits = rf"\d{{{width or 1},}}"
    expression = re.compile(re.escape(head) + digits + re.escape(tail))
    folder = pattern.parent
    if not folder.is_dir():
        raise SourceError(f"there is no folder {folder} to look for {pattern.name} in")
    files = [path for path in folder.iterdir() if expression.fullmatch(path.name)]
    if not files:
        raise SourceError(f"no file in {folder} is of the form {pattern.name}; check the digits")
    return sorted(files, key=natural_order)
