import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import Classification, Detections, Segmentation
from streamdyn.metrics import MeanIoU, agreement, box_iou


def found(*rows):
    """Detections of (x1, y1, x2, y2, score, label)."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    labels = table[:, 5].astype(np.int64)
    return Detections(table[:, :4], table[:, 4], labels, tuple(map(str, labels)))


def seen(label):
    return Classification(np.array([label]), np.ones(1, np.float32), (str(label),))


def test_recognition_agrees_on_the_best_class():
    assert agreement(seen(1), seen(1)) == 1
    assert agreement(seen(1), seen(2)) == 0


def test_detections_are_matched_both_ways():
    a, b = (0, 0, 10, 10, 0.9, 1), (20, 20, 30, 30, 0.8, 2)
    assert agreement(found(a, b), found(a, b)) == 1
    assert agreement(found(a), found(a, b)) == pytest.approx(2 / 3)
    assert agreement(found(a, b), found(a)) == pytest.approx(2 / 3)
    assert agreement(found(), found(a)) == 0
    assert agreement(found(), found()) == 1


def test_detections_match_by_class_overlap_and_score():
    a = (0, 0, 10, 10, 0.9, 1)
    assert agreement(found(a), found((0, 0, 10, 10, 0.9, 2))) == 0
    assert agreement(found(a), found((0, 6, 10, 16, 0.9, 1))) == 0
    assert agreement(found(a), found((0, 3, 10, 13, 0.9, 1))) == 1
    assert agreement(found(a), found((0, 0, 10, 10, 0.45, 1))) == 1  # unsure, but enough to match
    assert agreement(found(a), found((0, 0, 10, 10, 0.39, 1))) == 0


def test_segmentations_agree_by_mean_iou():
    left = np.zeros((4, 4), np.uint8)
    right = left.copy()
    right[:, 2:] = 1
    assert agreement(Segmentation(left, ()), Segmentation(left, ())) == 1
    assert agreement(Segmentation(left, ()), Segmentation(right, ())) == pytest.approx(0.25)


def test_tasks_do_not_mix():
    with pytest.raises(TypeError, match="recognition result cannot agree with a detection"):
        agreement(seen(1), found())


@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 4))
def test_mean_iou_equals_the_plain_count(seed, classes, maps):
    draw = np.random.default_rng(seed)
    said = draw.integers(0, classes, (maps, 6, 7), np.uint8)
    truth = draw.integers(0, classes, (maps, 6, 7), np.uint8)
    truth[draw.random(truth.shape) < 0.1] = 255
    score = MeanIoU(classes)
    for labels, true in zip(said, truth, strict=True):
        score.add(labels, true)
    expected = []
    for c in range(classes):
        a, b = (said == c) & (truth != 255), truth == c
        expected.append((a & b).sum() / (a | b).sum() if (a | b).any() else math.nan)
    np.testing.assert_allclose(score.per_class, expected)
    if not np.isnan(expected).all():
        assert score.value == pytest.approx(np.nanmean(expected))


def test_mean_iou_of_nothing_and_nonsense():
    score = MeanIoU(2)
    assert math.isnan(score.value)
    with pytest.raises(ValueError, match="differ in shape"):
        score.add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="label 2 is beyond the 2 classes"):
        score.add(np.full((2, 2), 2, np.uint8), np.zeros((2, 2), np.uint8))


def test_box_iou():
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 5, 5]], np.float32)
    expected = [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(box_iou(boxes, boxes), expected, rtol=1e-6)
