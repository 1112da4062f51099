"""Postprocessing against the plainest implementation of each."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamdyn import ModelError
from streamdyn.fit import Fit
from streamdyn.postprocess import BUILTIN
from streamdyn.postprocess.detection import detr, fastestdet, nms, yolo
from streamdyn.postprocess.recognition import topk
from streamdyn.postprocess.relabel import Relabel
from streamdyn.postprocess.segmentation import argmax

NAMES = ("cat", "dog", "bird")
LETTERBOX = Fit.make("letterbox", (50, 100), (64, 64))  # the picture lies at rows 16 to 48


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


class TestTopk:
    def test_softmax_scores_best_first(self):
        logits = np.array([[1.0, 3.0, 2.0]], np.float32)
        result = topk([logits], LETTERBOX, NAMES, k=2)
        powers = np.exp([1.0, 3.0, 2.0])
        assert result.names == ("dog", "bird")
        assert result.labels.tolist() == [1, 2]
        np.testing.assert_allclose(result.scores, powers[[1, 2]] / powers.sum(), rtol=1e-6)

    @pytest.mark.parametrize(
        ("activation", "best"), [("sigmoid", 1 / (1 + np.exp(-3.0))), ("none", 3.0)]
    )
    def test_other_activations(self, activation, best):
        logits = np.array([[1.0, 3.0, 2.0]], np.float32)
        result = topk([logits], LETTERBOX, NAMES, activation=activation)
        assert len(result.scores) == 3  # k is 5: all there are
        assert result.scores[0] == pytest.approx(best)

    def test_large_logits_do_not_overflow(self):
        result = topk([np.array([[1e4, -1e4, 0.0]], np.float32)], LETTERBOX, NAMES)
        np.testing.assert_array_equal(result.scores, [1, 0, 0])


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


class TestNms:
    @given(
        seed=st.integers(0, 2**32 - 1),
        count=st.integers(0, 40),
        iou=st.sampled_from([0.0, 0.45, 0.7, 1.0]),
        ties=st.booleans(),
    )
    def test_equals_the_quadratic_twin(self, seed, count, iou, ties):
        random = rng(seed)
        corners = random.integers(0, 40, (count, 2))
        boxes = np.concatenate([corners, corners + random.integers(0, 30, (count, 2))], axis=1)
        boxes = boxes.astype(np.float32)
        scores = random.random(count, np.float32).round(1 if ties else 6)
        labels = random.integers(0, 3, count)
        kept: list[int] = []
        for box in np.argsort(-scores, kind="stable"):
            rivals = [other for other in kept if labels[other] == labels[box]]
            if all(overlap(boxes[box], boxes[other]) <= iou for other in rivals):
                kept.append(int(box))
        assert nms(boxes, scores, labels, iou, limit=100).tolist() == kept
        assert nms(boxes, scores, labels, iou, limit=3).tolist() == kept[:3]


class TestFastestdet:
    def test_equals_a_loop_over_cells(self):
        output = rng(0).normal(size=(1, 8, 4, 6)).astype(np.float32)
        output[0, 0] = rng(1).random((4, 6))
        output[0, 5:] = rng(2).dirichlet(np.ones(3), (4, 6)).transpose(2, 0, 1)
        fit = Fit.make("stretch", (50, 100), (64, 96))
        result = fastestdet([output], fit, NAMES, score=0.3, iou=1.0)
        expected = []
        for gy in range(4):
            for gx in range(6):
                cell = output[0, :, gy, gx].astype(np.float64)
                score = cell[0] ** 0.6 * cell[5:].max() ** 0.4
                cx, cy = (np.tanh(cell[1]) + gx) / 6, (np.tanh(cell[2]) + gy) / 4
                w, h = 1 / (1 + np.exp(-cell[3])), 1 / (1 + np.exp(-cell[4]))
                box = np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
                box = np.clip(box * [100, 50, 100, 50], 0, [100, 50, 100, 50])
                if score >= 0.3:
                    expected.append((score, int(cell[5:].argmax()), box))
        expected.sort(key=lambda found: -found[0])
        assert 5 < len(expected) == len(result)
        assert result.labels.tolist() == [label for _, label, _ in expected]
        np.testing.assert_allclose(result.scores, [score for score, _, _ in expected], rtol=1e-4)
        np.testing.assert_allclose(result.boxes, [box for _, _, box in expected], atol=1e-3)
        assert result.names == tuple(NAMES[label] for label in result.labels)

    def test_options_bound_what_is_found(self):
        output = np.full((1, 8, 4, 6), 0.5, np.float32)
        fit = Fit.make("stretch", (50, 100), (64, 96))
        score = 0.5**0.6 * 0.5**0.4
        assert len(fastestdet([output], fit, NAMES, score=score + 0.01)) == 0
        every = fastestdet([output], fit, NAMES, score=score - 0.01, iou=1.0)
        assert len(every) == 24
        assert len(fastestdet([output], fit, NAMES, score=0.0, iou=1.0, limit=7)) == 7
        assert len(fastestdet([output], fit, NAMES, score=0.0, iou=0.1)) < 24


class TestYolo:
    def test_boxes_come_back_to_the_source(self):
        output = np.zeros((1, 7, 10), np.float32)
        output[0, :4, 4] = [32, 32, 16, 8]  # the centre of the input
        output[0, 4:, 4] = [0.1, 0.9, 0.2]
        output[0, :4, 7] = [32, 33, 16, 8]  # nearly the same: suppressed
        output[0, 4:, 7] = [0.1, 0.8, 0.2]
        output[0, :4, 9] = [0, 16, 8, 64]  # the top left corner of the picture: clipped
        output[0, 4:, 9] = [0.6, 0.5, 0.2]
        result = yolo([output], LETTERBOX, NAMES)
        scale = 100 / 64
        assert result.names == ("dog", "cat")
        np.testing.assert_allclose(result.scores, [0.9, 0.6])
        centre = [50 - 8 * scale, 25 - 4 * scale, 50 + 8 * scale, 25 + 4 * scale]
        np.testing.assert_allclose(result.boxes, [centre, [0, 0, 4 * scale, 50]], rtol=1e-6)

    def test_nothing_found_is_an_empty_result(self):
        result = yolo([np.zeros((1, 7, 10), np.float32)], LETTERBOX, NAMES)
        assert (len(result), result.boxes.shape, result.names) == (0, (0, 4), ())


class TestDetr:
    boxes = np.array([[[0.5, 0.5, 0.5, 0.25], [0.5, 0.5, 0.1, 0.1]]], np.float32)

    def test_one_more_logit_than_names_is_no_object(self):
        logits = np.array([[[5.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 9.0]]], np.float32)
        result = detr([logits, self.boxes], LETTERBOX, NAMES, score=0.1)
        powers = np.exp([5.0, 1.0, 1.0, 0.0])
        assert result.names == ("cat",)
        np.testing.assert_allclose(result.scores, powers[0] / powers.sum(), rtol=1e-6)
        np.testing.assert_allclose(result.boxes, [[25, 25 - 12.5, 75, 25 + 12.5]], rtol=1e-6)

    def test_classes_of_a_softmax_exclude_one_another(self):
        logits = np.array([[[1.0, 1.1, 1.0, 0.0], [0.0, 0.0, 0.0, 9.0]]], np.float32)
        assert detr([logits, self.boxes], LETTERBOX, NAMES, score=0.2).names == ("dog",)

    def test_as_many_logits_as_names_are_sigmoids(self):
        logits = np.array([[[2.0, -5.0, 3.0], [-5.0, 1.0, -5.0]]], np.float32)
        result = detr([logits, self.boxes], LETTERBOX, NAMES)
        assert result.names == ("bird", "cat", "dog")
        np.testing.assert_allclose(result.scores, 1 / (1 + np.exp([-3.0, -2, -1])), rtol=1e-6)
        assert len(detr([logits, self.boxes], LETTERBOX, NAMES, limit=2)) == 2


def interpolated(scores: NDArray[np.float32], fit: Fit) -> NDArray[np.float64]:
    """The plainest bilinear interpolation of a map (h, w) at the centres of source pixels."""
    found = np.empty(fit.source)
    rows, cols = scores.shape
    top, left, height, width = fit.picture
    for row, col in np.ndindex(*fit.source):
        y = (top + (row + 0.5) * height / fit.source[0]) * rows / fit.size[0] - 0.5
        x = (left + (col + 0.5) * width / fit.source[1]) * cols / fit.size[1] - 0.5
        y, x = min(max(y, 0), rows - 1), min(max(x, 0), cols - 1)
        y0, x0 = int(y), int(x)
        y1, x1 = min(y0 + 1, rows - 1), min(x0 + 1, cols - 1)
        upper = scores[y0, x0] * (1 - x + x0) + scores[y0, x1] * (x - x0)
        lower = scores[y1, x0] * (1 - x + x0) + scores[y1, x1] * (x - x0)
        found[row, col] = upper * (1 - y + y0) + lower * (y - y0)
    return found


class TestArgmax:
    def test_keeps_the_logits_of_the_picture(self):
        maps = rng(3).standard_normal((1, 3, 16, 16)).astype(np.float32)
        expected = maps[0, :, 4:12].copy()  # the letterbox has padding above and below
        logits = argmax([maps], LETTERBOX, NAMES).logits
        maps[:] = 0  # the network's outputs are overwritten by its next call
        np.testing.assert_array_equal(logits, expected)

    @pytest.mark.parametrize("source", [(37, 61), (64, 96), (17, 31), (1, 1)])
    @pytest.mark.parametrize("mode", ["stretch", "letterbox", "crop", "pad"])
    @pytest.mark.parametrize("stride", [1, 4])
    def test_equals_the_plainest_interpolation(self, source, mode, stride):
        size = (64, 96)
        fit = Fit.make(mode, source, size)
        maps = rng(0).normal(size=(1, 3, size[0] // stride, size[1] // stride)).astype(np.float32)
        result = argmax([maps], fit, NAMES)
        plain = np.stack([interpolated(scores, fit) for scores in maps[0]])
        best = np.sort(plain, axis=0)
        clear = best[-1] - best[-2] > 1e-3  # elsewhere rounding may decide
        assert result.labels.shape == source
        assert result.labels.dtype == np.uint8
        assert result.classes == NAMES
        np.testing.assert_array_equal(result.labels[clear], plain.argmax(axis=0)[clear])
        assert clear.mean() > 0.95

    def test_what_is_cut_off_takes_the_nearest_label(self):
        fit = Fit.make("crop", (4, 8), (4, 4))
        maps = rng(0).normal(size=(1, 3, 4, 4)).astype(np.float32)
        labels = argmax([maps], fit, NAMES).labels
        seen = maps[0].argmax(axis=0)
        np.testing.assert_array_equal(labels, np.pad(seen, ((0, 0), (2, 2)), mode="edge"))

    def test_equals_torch_where_the_picture_fills_the_input(self):
        maps = rng(0).normal(size=(1, 8, 16, 32)).astype(np.float32)
        maps = cv2.GaussianBlur(maps[0].transpose(1, 2, 0), (0, 0), 2).transpose(2, 0, 1)[None]
        want = torch.nn.functional.interpolate(
            torch.from_numpy(maps.copy()), size=(90, 160), mode="bilinear", align_corners=False
        ).argmax(1)
        fit = Fit.make("stretch", (90, 160), (64, 128))
        labels = argmax([maps], fit, tuple("abcdefgh")).labels
        assert (labels == want[0].numpy()).mean() > 0.9999

    def test_many_classes(self):
        maps = rng(0).normal(size=(1, 256, 4, 4)).astype(np.float32)
        fit = Fit.make("stretch", (4, 4), (4, 4))
        labels = argmax([maps], fit, tuple(map(str, range(256)))).labels
        np.testing.assert_array_equal(labels, maps[0].argmax(axis=0))

    def test_what_is_no_number_is_never_highest(self):
        maps = rng(0).normal(size=(1, 3, 20, 24)).astype(np.float32)
        fit = Fit.make("stretch", (33, 77), (20, 24))
        for label, value in [(0, np.nan), (1, np.nan), (0, -np.inf), (2, -np.inf)]:
            given_maps = maps.copy()
            given_maps[0, label] = value
            labels = argmax([given_maps], fit, NAMES).labels
            given_maps[0, label] = -1e9
            np.testing.assert_array_equal(labels, argmax([given_maps], fit, NAMES).labels)

    def test_maps_may_lie_in_memory_as_they_like(self):
        maps = rng(0).normal(size=(1, 20, 24, 3)).astype(np.float32).transpose(0, 3, 1, 2)
        maps.flags.writeable = False
        fit = Fit.make("stretch", (40, 48), (20, 24))
        want = argmax([np.ascontiguousarray(maps)], fit, NAMES)
        np.testing.assert_array_equal(argmax([maps], fit, NAMES).labels, want.labels)

    def test_one_class(self):
        fit = Fit.make("stretch", (6, 5), (4, 4))
        labels = argmax([np.ones((1, 1, 4, 4), np.float32)], fit, ("road",)).labels
        np.testing.assert_array_equal(labels, np.zeros((6, 5)))


class TestRelabel:
    @given(
        seed=st.integers(0, 2**32 - 1),
        cells=st.tuples(st.integers(1, 40), st.integers(1, 40)),
        source=st.tuples(st.integers(1, 90), st.integers(1, 90)),
        mode=st.sampled_from(["stretch", "letterbox", "crop"]),
        changes=st.lists(st.floats(0, 1), min_size=1, max_size=4),
        whole=st.booleans(),
    )
    def test_says_what_argmax_says(self, seed, cells, source, mode, changes, whole):
        random = rng(seed)
        fit = Fit.make(mode, source, (2 * cells[0], 3 * cells[1]))

        def scores(shape):  # ties are many among whole numbers
            return random.integers(-4, 5, shape) if whole else random.normal(size=shape)

        maps = np.empty((1, 3, *cells), np.float32)
        relabel, kept = Relabel(), []
        for share in [1.0, *changes]:
            top, left = random.integers(cells[0]), random.integers(cells[1])
            high, wide = round(share * cells[0]), round(share * cells[1])
            part = np.s_[...] if not kept else np.s_[0, :, top : top + high, left : left + wide]
            maps[part] = scores(maps[part].shape)
            kept.append((relabel([maps], fit, NAMES), argmax([maps.copy()], fit, NAMES)))
        maps[:] = 0
        for got, want in kept:  # what was handed out stays as it was
            np.testing.assert_array_equal(got.labels, want.labels)
            np.testing.assert_array_equal(got.logits, want.logits)
            assert got.classes == want.classes

    @pytest.mark.parametrize(("row", "col"), [(0, 0), (7, 15), (7, 16), (9, 31), (19, 47)])
    def test_one_score_changes_all_that_it_reaches(self, row, col):
        fit, relabel = Fit.make("stretch", (50, 150), (20, 48)), Relabel()
        maps = rng(0).normal(size=(1, 3, 20, 48)).astype(np.float32)
        before = relabel([maps], fit, NAMES)
        maps[0, 1, row, col] = 50
        after = relabel([maps], fit, NAMES)
        assert (after.labels != before.labels).any()
        np.testing.assert_array_equal(after.labels, argmax([maps], fit, NAMES).labels)

    def test_what_is_done_to_a_result_does_not_reach_the_next(self):
        maps = rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)
        fit, relabel = Fit.make("stretch", (64, 64), (64, 64)), Relabel()
        first = relabel([maps], fit, NAMES)
        first.labels[:] = 77
        with pytest.raises(ValueError, match="read-only"):
            first.logits[:] = 77
        maps[0, :, 0, 0] += 1
        np.testing.assert_array_equal(
            relabel([maps], fit, NAMES).labels, argmax([maps], fit, NAMES).labels
        )

    def test_other_pictures_begin_anew(self):
        relabel = Relabel()
        for source, rows in [((64, 64), 32), ((64, 64), 16), ((32, 64), 16), ((50, 70), 16)]:
            fit = Fit.make("stretch", source, (64, 64))
            maps = rng(0).normal(size=(1, 3, rows, 32)).astype(np.float32)
            got, want = relabel([maps], fit, NAMES), argmax([maps], fit, NAMES)
            np.testing.assert_array_equal(got.labels, want.labels)
            np.testing.assert_array_equal(got.logits, want.logits)

    def test_what_is_no_number_heals(self):
        maps = rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)
        fit, relabel = Fit.make("stretch", (64, 64), (64, 64)), Relabel()
        broken = maps.copy()
        broken[0, 1, 3:9, 3:9] = np.nan
        for given_maps in (maps, broken, maps):
            result = relabel([given_maps], fit, NAMES)
        np.testing.assert_array_equal(result.labels, argmax([maps], fit, NAMES).labels)


@pytest.mark.parametrize(
    ("function", "outputs", "wanted"),
    [
        (topk, [(1, 4)], "(1, 3)"),
        (topk, [(1, 3), (1, 3)], "(1, 3)"),
        (fastestdet, [(1, 9, 4, 4)], "(1, 8, rows, cols)"),
        (yolo, [(1, 10, 7)], "(1, 7, boxes)"),
        (detr, [(1, 5, 4)], "(1, queries, 4), (1, queries, 4)"),
        (detr, [(1, 5, 6), (1, 5, 4)], "(1, queries, 3), (1, queries, 4)"),
        (detr, [], "(1, queries, 3), (1, queries, 4)"),
        (argmax, [(1, 4, 8, 8)], "(1, 3, rows, cols)"),
        (argmax, [(1, 8, 8)], "(1, 3, rows, cols)"),
    ],
)
def test_outputs_of_another_shape_are_refused_by_name(function, outputs, wanted):
    given_shapes = ", ".join(map(str, outputs)) or "nothing"
    with pytest.raises(ModelError) as refused:
        function([np.zeros(shape, np.float32) for shape in outputs], LETTERBOX, NAMES)
    message = str(refused.value)
    assert f"{function.__name__!r} reads outputs of {wanted};" in message
    assert f"the network gives {given_shapes}" in message


def test_every_task_has_a_postprocessing():
    assert set(BUILTIN) == {"recognition", "detection", "segmentation"}
    assert all(BUILTIN.values())
