"""A model whose results and costs are known, a video for it, and what was reached on that."""

from __future__ import annotations

import numpy as np

from streamdyn import BlockGrid, Detections, Frame
from streamdyn.metrics import agreement

SIZE, SIDE = (96, 160), 32


class Clock:
    """Stands still until a model or a policy says that it worked."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Cells:
    """Sees one object in each block whose brightness is above 100, as of when it was computed.

    It costs a microsecond per frame, plus as much as it is told for each block.
    """

    def __init__(self, clock=None, block_seconds=0.0):
        self.clock, self.block_seconds = clock or Clock(), block_seconds
        self.calls = []  # caches

    def grid(self, size):
        return BlockGrid(*size, SIDE)

    def new_cache(self, size):
        return np.zeros(self.grid(size).shape, bool)

    def __call__(self, frame, mask, cache):
        self.calls.append(cache)
        sees = mask.grid.mean(frame.luma) > 100
        cache[mask.active] = sees[mask.active]
        dear = 1.5 if not mask.active.all() else 1.0  # gathering blocks costs something
        self.clock.now += 1e-6 + dear * self.block_seconds * mask.active.sum()
        rows, cols = np.nonzero(cache)
        boxes = np.stack([cols, rows, cols + 1, rows + 1], -1).astype(np.float32) * SIDE
        count = len(boxes)
        names = ("thing",) * count
        return Detections(boxes, np.ones(count, np.float32), np.zeros(count, np.int64), names)

    def share(self, mask):
        return mask.density


def flicker(count, seed=0, size=SIZE, stream="test"):
    """Each block drifts up and down by itself, in steps of a few grey levels."""
    draw = np.random.default_rng(seed)
    shape = BlockGrid(*size, SIDE).shape
    phase, speed = draw.uniform(0, 6.3, shape), draw.uniform(0.05, 0.2, shape)
    for index in range(count):
        levels = np.rint(100 + 60 * np.sin(phase + speed * index)).astype(np.uint8)
        image = np.kron(levels, np.ones((SIDE, SIDE), np.uint8))
        yield Frame.from_image(
            np.repeat(image[..., None], 3, -1), index=index, pts_seconds=index / 25, stream=stream
        )


def reached(predictions, pictures):
    """The agreement of each prediction with the dense model."""
    model = Cells()
    dense = [model(f, model.grid(f.size).all(), model.new_cache(f.size)) for f in pictures]
    return np.array([agreement(p.result, d) for p, d in zip(predictions, dense, strict=True)])
