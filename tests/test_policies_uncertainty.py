"""Uncertainty: where a result is in doubt."""

import numpy as np
import pytest

from streamdyn import Classification, Detections, Segmentation
from streamdyn.fit import Fit
from streamdyn.policies import Uncertainty
from tests.policies_kit import GRID, SIZE, frame_of, state_of

# Uncertainty


def uncertainty_of(result, size=SIZE, grid=GRID):
    return Uncertainty().scores(frame_of(np.zeros(size), 1), state_of(grid, result, size))


def test_uncertainty_of_a_segmentation_is_the_entropy_of_its_classes():
    logits = np.zeros((4, 3, 5), np.float32)
    logits[0, :, 1:] = 100  # sure
    logits[1, :, 2] = 100  # torn between two of four: half the bits
    labels = np.zeros(SIZE, np.uint8)
    scores = uncertainty_of(Segmentation(labels, tuple("abcd"), logits))
    np.testing.assert_allclose(scores, [[1, 0, 0.5, 0, 0]] * 3, atol=1e-6)
    assert (uncertainty_of(Segmentation(labels, tuple("abcd"))) == 1).all()


def test_uncertainty_of_detections_lies_on_their_boxes():
    boxes = np.array([[0, 0, 32, 32], [0, 40, 70, 60], [150, 90, 160, 96]], np.float32)
    found = Detections(
        boxes, np.array([0.5, 0.75, 1.0], np.float32), np.zeros(3, np.int64), ("a",) * 3
    )
    expected = [[1, 0, 0, 0, 0], [0.5, 0.5, 0.5, 0, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_allclose(uncertainty_of(found), expected)


@pytest.mark.parametrize(("bottom", "row"), [(50, [1] * 5), (40, [0] * 5)])
def test_uncertainty_lies_on_the_part_of_a_picture_that_is_not_cut_off(bottom, row):
    grid = Fit.make("crop", (192, 160), (96, 160)).grid(32)  # 48 pixels each, above and below
    box, score = np.array([[0, 0, 160, bottom]], np.float32), np.full(1, 0.5, np.float32)
    found = Detections(box, score, np.zeros(1, np.int64), ("a",))
    scores = uncertainty_of(found, (192, 160), grid)
    np.testing.assert_array_equal(scores, [row, [0] * 5, [0] * 5])


def test_uncertainty_of_a_recognition_is_the_same_everywhere():
    sure = Classification(np.arange(2), np.array([0.9, 0.1], np.float32), ("a", "b"))
    np.testing.assert_allclose(uncertainty_of(sure), np.full((3, 5), 0.1), rtol=1e-5)


def test_uncertainty_follows_the_result():
    policy = Uncertainty(threshold=0.5)
    unsure, sure = (
        Classification(np.arange(1), np.array([score], np.float32), ("a",)) for score in (0.3, 0.9)
    )
    state = state_of(result=unsure)
    frame = frame_of(np.zeros(SIZE), 1)
    assert policy.decide(frame, state).density == 1
    state.advance(frame, GRID.all(), sure)
    assert policy.decide(frame, state).density == 0
