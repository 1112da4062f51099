"""Cameras of this machine, by way of OpenCV."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from time import monotonic

import cv2
import numpy as np

from streamdyn.errors import SourceError
from streamdyn.sources.base import Nature, Options
from streamdyn.sources.pixels import ArrayPixels
from streamdyn.sources.report import SourceInfo, SourceReport
from streamdyn.sources.selection import Picture, skip_to
from streamdyn.sources.single import SingleSource


def open_spec(spec: str, options: Options) -> Webcam:
    """A camera by its number, or by its device file."""
    number = spec.removeprefix("webcam:")
    return Webcam(int(number) if number.isdecimal() else spec, options)


class Webcam(SingleSource):
    """A camera. It gives no times, so a frame has the time at which it came, from 0."""

    def __init__(self, device: int | str, options: Options) -> None:
        if isinstance(device, int):
            super().__init__(f"webcam:{device}", f"webcam{device}", options)
        else:
            super().__init__(device, Path(device).stem, options)
        if options.fps is not None:
            raise SourceError(f"fps is for image sequences; to thin out {self.url}, take max_fps")
        self._device = device

    @cached_property
    def nature(self) -> Nature:
        return Nature(True, "a camera")

    def info(self) -> SourceInfo:
        with self._open() as camera:
            came, image = camera.read()
            if not came:
                raise self._no_frame()
            return SourceInfo(
                name=self.name,
                url=self.url,
                kind="webcam",
                live=self.live,
                live_reason=self.live_reason,
                size=(image.shape[0], image.shape[1]),
                pixel_format="bgr24",
                claimed_fps=camera.get(cv2.CAP_PROP_FPS) or None,
            )

    def _pictures(self, report: SourceReport) -> Generator[Picture]:
        return skip_to(self._options.selection.start, self._captured())

    def _captured(self) -> Generator[Picture]:
        start, last = None, -1.0
        with self._open() as camera:
            while True:
                came, image = camera.read()
                if not came:
                    raise SourceError(
                        f"camera {self.url} was lost; check that it is plugged in", "lost"
                    )
                now = monotonic()
                start = now if start is None else start
                last = max(now - start, last + 1e-6)
                pixels = ArrayPixels(image.astype(np.uint8, copy=False), "bgr")
                yield Picture(last, pixels, (image.shape[0], image.shape[1]))

    @contextmanager
    def _open(self) -> Generator[cv2.VideoCapture]:
        device = f"/dev/video{self._device}" if isinstance(self._device, int) else self._device
        # OpenCV would say so itself, on the terminal.
        if sys.platform == "linux" and not Path(device).exists():
            there = sorted(str(path) for path in Path("/dev").glob("video*"))
            raise SourceError(
                f"there is no camera {self.url}; "
                f"{'this machine has ' + ', '.join(there) if there else 'none is connected'}",
                "not found",
            )
        camera = cv2.VideoCapture(self._device)
        try:
            if not camera.isOpened():
                raise SourceError(
                    f"camera {self.url} cannot be opened; close other programs that use it, and "
                    "check that you may read it"
                )
            yield camera
        finally:
            camera.release()
