"""Streams for policies that choose blocks, without a model."""

from itertools import count

import cv2
import numpy as np

from streamdyn import BlockGrid, Frame, Pipeline, ScorePolicy, StreamState
from streamdyn.testing import StillModel, results

SIZE = (96, 160)  # (height, width): 3 x 5 blocks of 32 pixels
GRID = BlockGrid(*SIZE, 32)
RESULT = results(SIZE)[0]


class Luma:
    """Pixels of a grey picture, with vectors or without."""

    def __init__(self, luma, motion=None):
        self._luma, self._motion = np.clip(luma, 0, 255).astype(np.uint8), motion

    def luma(self):
        return self._luma

    def image(self):
        return np.stack([self._luma] * 3, axis=-1)

    def motion(self):
        return self._motion


def frame_of(luma, index=0, motion=None, pts_seconds=None):
    seconds = index / 25 if pts_seconds is None else pts_seconds
    pixels = Luma(luma, motion)
    return Frame(pixels, index=index, pts_seconds=seconds, size=luma.shape, stream="test")


def predictions(policy, lumas, model=None):
    stream = (frame_of(luma, index) for index, luma in enumerate(lumas))
    return list(Pipeline(model or StillModel(), policy).run(stream))


def street(seed=0):
    """A still picture with edges and textures, of 40 to 200 grey levels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (9, 15)).astype(np.float32)
    return cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_NEAREST)


def noisy(still, deviation, seed=0):
    rng = np.random.default_rng(seed)
    for _ in count():
        yield still + rng.normal(0, deviation, still.shape)


# Budget


class Scored(ScorePolicy):
    """Scores that a test gives."""

    def __init__(self, scores, threshold=1.0, grow=0):
        super().__init__(threshold, grow)
        self.given = np.asarray(scores, np.float32)

    def scores(self, frame, state):
        return self.given


def state_of(grid=GRID, result=RESULT, size=SIZE):
    return StreamState.start(grid, frame_of(np.zeros(size)), result)
