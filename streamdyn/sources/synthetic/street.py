"""A synthetic street: endless labelled video without a camera.

A fixed or slowly panning camera looks at houses, trees, poles and a road on which cars, buses,
cyclists and people come and go, in sun or shade, with the noise of a real sensor. Each pixel's
class and each mover's box are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.sources.synthetic.street_backdrop import Backdrop, paint_backdrop
from streamdyn.sources.synthetic.street_camera import NEAREST, Camera, Light
from streamdyn.sources.synthetic.street_canvas import Canvas, Pose
from streamdyn.sources.synthetic.street_layout import CLASSES, Layout, bottom_depth
from streamdyn.sources.synthetic.street_sensor import Sensor
from streamdyn.sources.synthetic.street_traffic import Body, Mover, populate
from streamdyn.types import Detections, Segmentation

_SIDES = 16, 4096  # pixels, from and to
_FAINT = 0.012  # movers smaller than this share of the picture's height are left out
_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (0, 1)], np.float32)


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of a street, and the truth about it."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    labels: NDArray[np.uint8]  # (H, W), index in CLASSES
    boxes: NDArray[np.float32]  # (N, 4) x1 y1 x2 y2 around the visible pixels of each mover
    box_labels: NDArray[np.int64]  # (N,), index in CLASSES
    identities: NDArray[np.int64]  # (N,), the same number for the same mover in every frame

    def segmentation(self) -> Segmentation:
        """The truth as a result."""
        return Segmentation(self.labels, CLASSES)

    def detections(self) -> Detections:
        """The visible movers as a result, with scores of 1."""
        names = tuple(CLASSES[label] for label in self.box_labels)
        scores = np.ones(len(self.boxes), np.float32)
        return Detections(self.boxes, scores, self.box_labels, names)


class Street:
    """A street of `frames` frames; each is a pure function of the arguments and its index.

    Args:
        seed: which street; its layout, light and traffic follow from it.
        height: of a frame, in pixels.
        width: of a frame, in pixels.
        fps: frames per second.
        frames: how many there are.
        pan: pixels per frame by which the camera swings, to and fro over half a picture; shown
            rounded to whole pixels. A negative one swings to the left first.
        noise: standard deviation of the sensor's noise in grey levels.
        drift: how far clouds change the brightness, as a share.
        traffic: how much moves, 1 is usual and 0 nothing.

    Raises:
        ValueError: an argument is out of range.
    """

    CLASSES = CLASSES

    def __init__(
        self,
        *,
        seed: int = 0,
        height: int = 512,
        width: int = 1024,
        fps: float = 25.0,
        frames: int = 250,
        pan: float = 0.0,
        noise: float = 2.0,
        drift: float = 0.05,
        traffic: float = 1.0,
    ) -> None:
        _check("seed", seed, 0, 2**63)
        _check("height", height, *_SIDES)
        _check("width", width, *_SIDES)
        _check("fps", fps, 0.1, 1000)
        _check("frames", frames, 1, 2**31)
        _check("pan", pan, -width / 4, width / 4)
        _check("noise", noise, 0, 40)
        _check("drift", drift, 0, 0.5)
        _check("traffic", traffic, 0, 4)
        self.seed, self.size, self.fps, self.pan = seed, (height, width), fps, pan
        self._frames = frames
        # One generator for each part: a wider picture, say, does not change the traffic.
        views, lights, stones, movers, grains = (
            np.random.default_rng([seed, part]) for part in range(5)
        )
        self._swing = width // 2 if pan else 0
        camera = Camera.random(views, height, width)
        self._light = Light.random(lights)
        layout = Layout.random(views, camera, bottom_depth(camera, height))
        # The backdrop is as wide as the swing needs; the camera is given in its columns.
        self._camera = replace(camera, centre=camera.centre + (self._swing if pan < 0 else 0))
        wide = (height, width + self._swing)
        self._backdrop = paint_backdrop(stones, self._camera, self._light, layout, wide)
        self._movers = populate(movers, layout, self._light, traffic) if traffic else ()
        self._sensor = Sensor(grains, self.size, noise, drift)

    def __len__(self) -> int:
        return self._frames

    def __iter__(self) -> Iterator[Scene]:
        return (self.render(index) for index in range(len(self)))

    def render(self, index: int) -> Scene:
        """The frame at `index`, in any order.

        Raises:
            IndexError: there is no such frame.
        """
        if not 0 <= index < self._frames:
            raise IndexError(f"frame {index} of a street of {self._frames} frames")
        seconds, left = index / self.fps, self._left(index)
        view = self._backdrop.cut(left, self.size[1])
        camera = replace(self._camera, centre=self._camera.centre - left)
        stage = _Stage(view, camera)
        shown = [(number, mover, mover.pose(seconds)) for number, mover in self._numbered()]
        stage.cast_shadows([(mover.body, pose) for _, mover, pose in shown], self._light)
        depths = [float(camera.project(pose.position)[1]) for _, _, pose in shown]
        for far_to_near in np.argsort(depths, kind="stable")[::-1]:
            number, mover, pose = shown[far_to_near]
            stage.draw(mover.body, pose, number)
        image = self._sensor.expose(stage.canvas.image, index, seconds)
        return self._scene(image, stage)

    def _numbered(self) -> Iterator[tuple[int, Mover]]:
        return enumerate(self._movers, start=1)

    def _left(self, index: int) -> int:
        """First column of the backdrop that frame `index` shows."""
        if not self._swing:
            return 0
        reached = abs(self.pan) * index % (2 * self._swing)
        swung = round(self._swing - abs(self._swing - reached))
        return swung if self.pan > 0 else self._swing - swung

    def _scene(self, image: NDArray[np.uint8], stage: _Stage) -> Scene:
        labels = stage.view.labels.copy()
        of_identity = np.zeros(256, np.uint8)
        for number, mover in self._numbered():
            of_identity[number] = mover.label
        identities = stage.canvas.identities
        cv2.copyTo(cv2.LUT(identities, of_identity), identities, labels)
        boxes = {number: box for number in stage.drawn if (box := stage.box(number))}
        numbers = np.array(sorted(boxes), np.int64)
        corners = np.array([boxes[number] for number in sorted(boxes)], np.float32)
        kinds = of_identity[numbers].astype(np.int64)
        return Scene(image, labels, corners.reshape(-1, 4), kinds, numbers)


class _Stage:
    """One frame in the making."""

    def __init__(self, view: Backdrop, camera: Camera) -> None:
        self.view, self._camera = view, camera
        self.canvas = Canvas(view.image.copy(), np.zeros(view.labels.shape, np.uint8))
        self.drawn: dict[int, tuple[slice, slice]] = {}  # where each mover can be

    def cast_shadows(self, bodies: list[tuple[Body, Pose]], light: Light) -> None:
        """Darken the ground beside the movers."""
        mask = np.zeros(self.view.labels.shape, np.uint8)
        for body, pose in bodies:
            pixels, depth = self._camera.project(body.footprint(pose.position, light))
            if depth.min() > 1.0:
                outline = cv2.convexHull(np.rint(pixels).astype(np.int32))
                cv2.fillConvexPoly(mask, outline, 255)
        cv2.copyTo(self.view.shaded, cv2.bitwise_and(mask, self.view.ground), self.canvas.image)

    def draw(self, body: Body, pose: Pose, number: int) -> None:
        """Draw a mover over what is behind it, and put back what stands before it."""
        where = self._bounds(body, pose)
        if where is None:
            return
        body.draw(self.canvas, self._camera, pose, number)
        # Along any ray, the way across the street only grows; depth would fail for a long bus.
        hidden = self.view.across[where] < abs(pose.position[1])
        if hidden.any():
            self.canvas.image[where][hidden] = self.view.image[where][hidden]
            self.canvas.identities[where][hidden] = 0
        self.drawn[number] = where

    def _bounds(self, body: Body, pose: Pose) -> tuple[slice, slice] | None:
        """Rows and columns that a mover can cover; None out of sight or too far to tell."""
        half = np.array([body.length / 2 + 0.4, body.width / 2 + 0.4, body.height * 1.15])
        pixels, depth = self._camera.project(_CORNERS * half + pose.position)
        height, width = self.view.labels.shape
        if depth.max() < 1.5 or body.height * self._camera.focal < _FAINT * height * depth.mean():
            return None
        if depth.min() <= NEAREST:  # partly beside the camera, where projection is not exact
            return slice(0, height), slice(0, width)
        left, top = np.clip(np.floor(pixels.min(axis=0)) - 2, 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(pixels.max(axis=0)) + 3, 0, (width, height)).astype(int)
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None

    def box(self, number: int) -> tuple[int, int, int, int] | None:
        """x1 y1 x2 y2 around what is to be seen of a mover; None if that is nothing."""
        rows, columns = self.drawn[number]
        seen = self.canvas.identities[rows, columns] == number
        down, along = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        if not len(down):
            return None
        left, top = int(columns.start + along[0]), int(rows.start + down[0])
        return left, top, int(columns.start + along[-1] + 1), int(rows.start + down[-1] + 1)


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; it must be from {low:g} to {high:g}")


__all__ = ["CLASSES", "Scene", "Street"]
