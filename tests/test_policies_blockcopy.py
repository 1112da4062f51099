"""BlockCopy: its network, what it is rewarded for, and that it learns."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn import functional as F  # noqa: N812

from streamdyn import (
    BlockGrid,
    BlockMask,
    Classification,
    Detections,
    Frame,
    Pipeline,
    Policy,
    PolicyError,
    Segmentation,
    load_model,
)
from streamdyn.metrics import agreement
from streamdyn.policies import BlockCopy, Random
from streamdyn.policies.blockcopy.belief import belief_of
from streamdyn.policies.blockcopy.network import HIDDEN, PolicyNetwork
from streamdyn.policies.blockcopy.view import PLANES
from streamdyn.sources.synthetic.street import Street
from streamdyn.types import Result

SIZE = (128, 256)
GRID = BlockGrid(*SIZE, 32)  # 4 x 8 blocks
FLICKER = slice(0, 2), slice(1, 3)  # blocks whose light changes, and nothing else
EVENT = slice(2, 4), slice(5, 7)  # blocks whose light and class change


# The network


def by_torch(weights: list[np.ndarray], planes: np.ndarray) -> tuple[torch.Tensor, list]:
    """The same network as convolutions, and its weights as they are differentiated."""
    layers = [torch.from_numpy(layer.copy()).requires_grad_() for layer in weights]
    maps = torch.from_numpy(planes).permute(2, 0, 1)[None]
    for layer in layers[:2]:
        kernel = layer[:-1].reshape(3, 3, -1, HIDDEN).permute(3, 2, 0, 1)
        maps = F.relu(F.conv2d(maps, kernel, layer[-1], padding=1))
    logits = torch.einsum("chw,co->hw", maps[0], layers[2][:-1]) + layers[2][-1]
    return 4 * torch.tanh(logits / 4), layers


@pytest.mark.parametrize("shape", [(1, 1), (4, 7), (16, 32)])
def test_network_and_its_gradients_are_those_of_torch(shape):
    draw = np.random.default_rng(1)
    network = PolicyNetwork.random(PLANES, seed=3)
    network.weights[-1] *= 20  # into the bend of the tanh
    planes = draw.normal(size=(*shape, PLANES)).astype(np.float32)
    of_logits = draw.normal(size=shape).astype(np.float32)
    expected, layers = by_torch(network.weights, planes)
    expected.backward(torch.from_numpy(of_logits))
    np.testing.assert_allclose(network(planes), expected.detach(), rtol=1e-4, atol=1e-5)
    for gradient, layer in zip(network.gradients(of_logits), layers, strict=True):
        np.testing.assert_allclose(gradient, layer.grad, rtol=1e-3, atol=1e-4)


# What it is rewarded for


def gain(before: Result, after: Result, grid: BlockGrid = GRID) -> np.ndarray:
    return belief_of(after, SIZE, grid).gain(belief_of(before, SIZE, grid), grid)


def segmentation(labels: np.ndarray, sure: float = 3.0) -> Segmentation:
    """Labels (h, w) of two classes, at a quarter of the picture's size."""
    logits = np.stack([labels == 0, labels == 1]).astype(np.float32) * sure
    return Segmentation(labels.repeat(4, 0).repeat(4, 1).astype(np.uint8), ("a", "b"), logits)


def test_segmentation_gains_where_it_changed():
    labels = np.zeros((32, 64), int)
    before = segmentation(labels)
    labels[18:20, 44:46] = 1  # a corner of the block of row 2, column 5, is not diluted
    values = gain(before, segmentation(labels))
    likely = 1 / (1 + np.exp(-3))
    assert values[2, 5] == pytest.approx((2 * likely - 1) * 3, rel=1e-4)
    values[2, 5] = 0
    np.testing.assert_allclose(values, 0, atol=1e-6)


def test_labels_alone_will_do():
    labels = np.zeros(SIZE, np.uint8)
    before = Segmentation(labels, ("a", "b"))
    labels = labels.copy()
    labels[64:96, 160:192] = 1
    values = gain(before, Segmentation(labels, ("a", "b")))
    assert values[2, 5] > 1
    assert np.count_nonzero(values > 1e-6) == 1


def detections(*found: tuple[float, float, float, float, float, int]) -> Detections:
    """Of (x1, y1, x2, y2, score, label)."""
    table = np.array(found, np.float32).reshape(-1, 6)
    labels = table[:, 5].astype(np.int64)
    return Detections(table[:, :4], table[:, 4], labels, tuple(map(str, labels)))


def test_detection_gains_what_moved_came_and_went():
    moved, went, came = (0, 0, 64, 64, 0.8, 0), (128, 0, 160, 32, 0.5, 7), (224, 96, 256, 128, 1, 3)
    values = gain(detections(moved, went), detections((0, 0, 64, 32, 0.8, 0), came))
    expected = np.zeros(GRID.shape)
    expected[:2, :2] = 0.8 * (1 - 0.5)
    expected[0, 4], expected[3, 7] = 0.5, 1
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_a_box_of_another_class_is_another_box():
    values = gain(detections((0, 0, 32, 32, 0.6, 0)), detections((0, 0, 32, 32, 0.9, 1)))
    assert values[0, 0] == pytest.approx(0.9)
    assert values.sum() == pytest.approx(0.9)


def test_boxes_are_painted_on_the_input_and_not_on_the_padding():
    letterbox = BlockGrid(256, 256, 32, picture=(64, 0, 128, 256))
    values = gain(detections(), detections((0, 0, 32, 32, 1, 0)), letterbox)
    assert np.argwhere(values).tolist() == [[2, 0]]


def test_recognition_gains_everywhere_alike():
    def said(*scores: float) -> Classification:
        labels = np.arange(len(scores), dtype=np.int64)
        return Classification(labels, np.array(scores, np.float32), ("",) * len(scores))

    np.testing.assert_allclose(gain(said(0.7, 0.3), said(0.2, 0.8)), 0.5, atol=1e-6)
    np.testing.assert_allclose(gain(said(0.7), said(0.7)), 0)


BOXES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 5), st.just(4)),
    elements=st.floats(-400, 400, width=32),
)


@given(BOXES, BOXES, st.integers(0, 3))
def test_any_detections_gain_something_finite(old, new, labels):
    def found(boxes: np.ndarray) -> Detections:
        boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + 1 + abs(boxes[:, 2:])], axis=1)
        scores = np.linspace(0, 1, len(boxes), dtype=np.float32)
        kinds = np.arange(len(boxes)) % (labels + 1)
        return Detections(boxes, scores, kinds, ("",) * len(boxes))

    values = gain(found(old), found(new))
    assert ((values >= -1e-6) & (values <= 1)).all()
    np.testing.assert_allclose(gain(found(old), found(old)), 0, atol=1e-6)


# That it learns


class BlockModel:
    """Says of each block whether it is bright by the luma it last computed of it, but only in the
    lower half: what flickers above tells it nothing."""

    def grid(self, size: tuple[int, int]) -> BlockGrid:
        return GRID

    def new_cache(self, size: tuple[int, int]) -> np.ndarray:
        return np.zeros((32, 64), int)

    def __call__(self, frame: Frame, mask: BlockMask, cache: np.ndarray) -> Segmentation:
        bright = frame.luma[::4, ::4] > 140
        bright[:16] = False
        np.copyto(cache, bright, where=mask.pixels(*cache.shape))
        return segmentation(cache)

    def share(self, mask: BlockMask) -> float:
        return mask.density


def flickering(count: int) -> Iterator[Frame]:
    """Still noise, dark above, but for two places whose light changes at random."""
    draw = np.random.default_rng(5)
    still = draw.integers(80, 120, (*SIZE, 3), np.uint8)
    still[: SIZE[0] // 2] //= 4
    for index in range(count):
        image = still.copy()
        for rows, cols in (FLICKER, EVENT):
            area = image[32 * rows.start : 32 * rows.stop, 32 * cols.start : 32 * cols.stop]
            area += np.uint8(100) * draw.integers(0, 2, dtype=np.uint8)
        yield Frame.from_image(image, index=index, pts_seconds=index / 25)


def masks(policy: Policy, stream: Iterator[Frame]) -> np.ndarray:
    """(frames, rows, cols) after the first frame, which needs no policy."""
    predictions = list(Pipeline(BlockModel(), policy).run(stream))
    assert not any(p.fault for p in predictions)
    return np.stack([p.mask.active for p in predictions[1:]])


def test_it_learns_where_there_is_something_to_learn():
    computed = masks(BlockCopy(target=0.1, weights="random"), flickering(500))
    early, late = computed[:50], computed[-200:]
    assert early[:, *EVENT].mean() < 0.35
    assert late[:, *EVENT].mean() > 0.5
    # The same change of light, and never news.
    assert late[:, *FLICKER].mean() < late[:, *EVENT].mean() - 0.2
    assert late.mean() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("target", [0.05, 0.5, 0.9])
def test_density_keeps_to_its_target(target):
    computed = masks(BlockCopy(target=target), flickering(300))
    assert computed[100:].mean() == pytest.approx(target, abs=0.03)


def test_a_street_is_seen_better_than_by_chance():
    street = Street(seed=9100, height=192, width=384, frames=40)
    stream = [
        Frame.from_image(street.render(n).image, index=n, pts_seconds=n / 25)
        for n in range(len(street))
    ]
    model = load_model("street")
    grid, cache = model.grid(stream[0].size), model.new_cache(stream[0].size)
    dense = [model(frame, grid.all(), cache) for frame in stream]

    def run(policy: Policy) -> tuple[float, float]:
        predictions = list(Pipeline(model, policy).run(stream))[10:]
        agreed = [agreement(p.result, dense[p.index]) for p in predictions]
        return float(np.mean(agreed)), float(np.mean([p.share for p in predictions]))

    learnt, its_share = run(BlockCopy(target=0.15))
    chance, share = run(Random(density=0.25))
    assert its_share < share
    assert learnt > chance + 0.02


# What is kept of it


def test_what_was_learnt_can_be_kept_and_frozen(tmp_path):
    policy = BlockCopy(target=0.2, weights="random")
    masks(policy, flickering(500))
    policy.save(tmp_path / "learnt.npz")

    def frozen(**options: float) -> np.ndarray:
        return masks(
            BlockCopy(target=0.2, weights=tmp_path / "learnt.npz", frozen=True, **options),
            flickering(60),
        )

    computed = frozen()
    np.testing.assert_array_equal(computed, frozen(seed=7))  # nothing is drawn
    assert computed[:, *EVENT].mean() > computed[:, 3, :4].mean() + 0.3
    assert frozen(threshold=40).mean() < computed.mean() < frozen(threshold=0.025).mean()


def test_a_threshold_moves_what_is_computed_and_not_what_is_learnt():
    policy = BlockCopy(target=0.3)
    policy.threshold = 8
    assert masks(policy, flickering(200))[50:].mean() < 0.2


def test_seeds_tell_runs_apart():
    first, again, other = (masks(BlockCopy(seed=s), flickering(20)) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


# What can go wrong


@pytest.mark.parametrize(("level", "density"), [(-60, "0%"), (60, "100%")])
def test_a_policy_that_has_collapsed_is_reported_and_starts_anew(level, density):
    policy = BlockCopy(target=0.25)
    predictions = []
    for prediction in Pipeline(BlockModel(), policy).run(flickering(160)):
        predictions.append(prediction)
        if prediction.index == 10:
            policy._level = level
    faults = [p for p in predictions if p.fault]
    assert [(p.index, p.density) for p in faults] == [(60, 1)]
    assert f"compute {density} of the blocks, not 25%" in faults[0].fault
    assert np.mean([p.density for p in predictions[100:]]) == pytest.approx(0.25, abs=0.05)


def test_scores_that_are_no_numbers_cost_one_full_computation():
    class Failing(BlockModel):
        calls = 0

        def __call__(self, frame: Frame, mask: BlockMask, cache: np.ndarray) -> Segmentation:
            self.calls += 1
            result = super().__call__(frame, mask, cache)
            if self.calls == 9:
                result.logits[:] = np.nan
            return result

    predictions = list(Pipeline(Failing(), BlockCopy()).run(flickering(30)))
    faulty = [p for p in predictions if p.fault]
    assert all("not finite" in p.fault and p.density == 1 for p in faulty)
    assert 1 <= len(faulty) <= 2
    assert not any(p.fault for p in predictions[15:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 0}, "target must lie in"),
        ({"target": 1.0}, "target must lie in"),
        ({"every": 0}, "every must be at least 1"),
        ({"threshold": 0}, "threshold more than 0"),
        ({"weights": "nowhere.npz"}, "nowhere.npz is none"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BlockCopy(**options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[:2], "holds no weights"),
        (lambda layers: [layer[:-1] for layer in layers], "of another network"),
        (lambda layers: [layer * np.nan for layer in layers], "of another network"),
        (lambda layers: [layer.astype(object) for layer in layers], "holds no weights"),
    ],
    ids=["a layer missing", "other shapes", "not finite", "objects"],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, change, message):
    layers = change(PolicyNetwork.random(PLANES, seed=0).weights)
    path = tmp_path / "weights.npz"
    np.savez(path, **{f"layer{n}": layer for n, layer in enumerate(layers)})
    with pytest.raises(ValueError, match=message):
        BlockCopy(weights=path)


def test_text_is_no_weights(tmp_path):
    path = tmp_path / "weights.npz"
    path.write_text("none")
    with pytest.raises(ValueError, match="holds no weights"):
        BlockCopy(weights=path)


def test_weights_that_cannot_be_written_are_told_of(tmp_path):
    with pytest.raises(PolicyError, match="cannot write weights"):
        BlockCopy().save(tmp_path / "no folder" / "weights.npz")
