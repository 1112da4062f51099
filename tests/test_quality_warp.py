"""Results that follow the picture while frames are skipped."""

from __future__ import annotations

import numpy as np
import pytest

from streamdyn import Detections, Pipeline, Segmentation, load_model, open_source
from streamdyn.metrics import agreement
from streamdyn.policies import All, Interval
from streamdyn.quality import Quality
from streamdyn.quality.warp import Warp

CLASSES = ("ground", "thing")


def scene(shape, place, side=40, seed=0):
    """Luma and labels of a textured square before a texture that stands still."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 120, (shape[0] // 8 + 1, shape[1] // 8 + 1))
    luma = np.kron(coarse, np.ones((8, 8), np.uint8))[: shape[0], : shape[1]].astype(np.uint8)
    labels = np.zeros(shape, np.uint8)
    y, x = place
    luma[y : y + side, x : x + side] = (
        draw.integers(130, 255, (side // 4, side // 4)).repeat(4, 0).repeat(4, 1)
    )
    labels[y : y + side, x : x + side] = 1
    return luma, Segmentation(labels, CLASSES)


@pytest.mark.parametrize("shift", [(0, 0), (0, 3), (-2, 4), (4, -4)])
@pytest.mark.parametrize("shape", [(128, 200), (720, 1280)])
def test_labels_go_along(shape, shift):
    before, labels = scene(shape, (60, 80))
    now, true = scene(shape, (60 + shift[0], 80 + shift[1]))
    moved = Warp()(labels, before, now)
    assert agreement(moved, true) >= agreement(labels, true)
    assert agreement(moved, true) > 0.9


def test_labels_of_another_size_go_along():
    before, labels = scene((256, 400), (60, 80))
    now, true = scene((256, 400), (60, 90))
    warp = Warp()
    half = [Segmentation(s.labels[::2, ::2].copy(), CLASSES) for s in (labels, true)]
    assert agreement(warp(half[0], before, now), half[1]) > 0.93
    assert agreement(warp(labels, before, now), true) > 0.93  # as before, after the other size


def test_what_cannot_be_moved_stays():
    luma = np.zeros((128, 200), np.uint8)
    boxes = Detections(
        np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32), np.zeros(1, int), ("a",)
    )
    assert Warp()(boxes, luma, luma) is boxes
    tiny = Segmentation(np.zeros((8, 64), np.uint8), CLASSES)
    assert Warp()(tiny, luma[:8, :64], luma[:8, :64]) is tiny


def test_a_panning_street_is_followed():
    model = load_model("street")
    source = open_source("synthetic:street?seed=5&height=128&width=256&frames=36&pan=2")
    dense = [p.result for p in Pipeline(model, All()).run(source)]
    means = {}
    for warp in (False, True):
        quality = Quality(warp=warp, guard=False)
        held = Pipeline(model, Interval(every=6), quality=quality).run(source)
        means[warp] = np.mean([agreement(p.result, d) for p, d in zip(held, dense, strict=True)])
    assert means[True] > means[False] + 0.05
