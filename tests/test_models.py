"""What a model says of frames: of its streams, one by one, whole or block by block."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from streamdyn import ModelError, Pipeline, Policy, load_model
from streamdyn.blocks import BlockMask
from streamdyn.models.vision import VisionModel
from tests.models_kit import CARD, frame, noise, write_colours


@pytest.fixture
def folder(tmp_path):
    return write_colours(tmp_path)


class TestVisionModel:
    def test_empty_masks_give_the_last_result_without_work(self, folder):
        model = load_model(f"{folder}/net.py:colours")
        cache = model.new_cache((24, 16))
        grid = model.grid((24, 16))
        with pytest.raises(ValueError, match="nothing to reuse"):
            model(frame(noise(24, 16)), grid.none(), cache)
        first = model(frame(noise(24, 16)), grid.all(), cache)
        unread = frame(noise(24, 16, seed=1))
        assert model(unread, grid.none(), cache) is first
        assert "image" not in vars(unread)  # its pixels were never asked for

    def test_streams_do_not_mix(self, folder):
        model = load_model(f"{folder}/net.py:colours")
        grid = model.grid((24, 16))
        images = [noise(24, 16, seed) for seed in range(2)]
        caches = [model.new_cache((24, 16)) for _ in images]
        for image, cache in zip(images, caches, strict=True):
            model(frame(image), grid.all(), cache)
        for image, cache in zip(images, caches, strict=True):
            kept = model(frame(noise(24, 16, 9)), grid.none(), cache)
            np.testing.assert_array_equal(kept.labels, image.argmax(axis=2))

    def test_results_are_not_overwritten_by_the_next_frame(self, folder):
        model = load_model(f"{folder}/net.py:colours")
        cache, grid = model.new_cache((24, 16)), model.grid((24, 16))
        first = model(frame(noise(24, 16)), grid.all(), cache)
        model(frame(noise(24, 16, seed=1)), grid.all(), cache)
        np.testing.assert_array_equal(first.labels, noise(24, 16).argmax(axis=2))

    @pytest.mark.parametrize("size", [(1, 1), (17, 31), (32, 32), (33, 8)])
    def test_odd_sizes(self, folder, size):
        model = load_model(f"{folder}/net.py:colours")
        image = noise(*size)
        result = model(frame(image), model.grid(size).all(), model.new_cache(size))
        np.testing.assert_array_equal(result.labels, image.argmax(axis=2))

    def test_a_frame_of_another_size_is_refused(self, folder):
        model = load_model(f"{folder}/net.py:colours")
        with pytest.raises(ValueError, match=r"a frame of \(8, 8\) pixels with a cache for"):
            model(frame(noise(8, 8)), model.grid((8, 8)).all(), model.new_cache((24, 16)))

    def test_share_is_that_of_the_network(self, folder):
        model = load_model(f"{folder}/net.py:colours")
        grid = model.grid((24, 16))
        assert (model.share(grid.none()), model.share(grid.all())) == (0.0, 1.0)

    def test_describe(self, folder):
        model = load_model(f"{folder}/net.py:colours", block=8)
        described = model.describe((20, 16))
        assert described.name == "colours"
        assert described.task == "segmentation"
        assert described.labels == ("red", "green", "blue")
        assert (described.parameters, described.macs) == (9, 24 * 16 * 9)
        assert (described.source, described.input) == ((20, 16), (1, 3, 24, 16))
        assert (described.blocks, described.outputs) == ((3, 2), {"output": (1, 3, 24, 16)})
        with pytest.raises(ModelError, match="takes any size; say which"):
            model.describe()
        assert load_model(f"{folder}/net.py:colours", size=(8, 8)).describe().macs == 8 * 8 * 9

    @pytest.mark.parametrize(
        ("function", "message"),
        [
            ("odd", "returned tuple; a segmentation model needs Segmentation"),
            ("failing", "fails: IndexError: tuple index out of range"),
        ],
    )
    def test_own_postprocessing_that_does_not_work(self, folder, function, message):
        text = CARD.replace("argmax", f"./net.py:{function}")
        (folder / "net.toml").write_text(text, "utf-8")
        with pytest.raises(ModelError, match=f"'.*:{function}' of model colours {message}"):
            load_model(f"{folder}/net.py:colours").describe((8, 8))

    def test_a_card_with_too_few_labels_is_refused_when_the_size_is_known(self, folder):
        message = r"reads outputs of \(1, 2, rows, cols\); .* as for argmax with 3 labels"
        (folder / "net.toml").write_text(CARD.replace(', "blue"', ""), "utf-8")
        model = load_model(f"{folder}/net.py:colours")
        with pytest.raises(ModelError, match=message):
            model.new_cache((8, 8))
        with pytest.raises(ModelError, match=message):
            load_model(f"{folder}/net.py:colours", size=(8, 8))

    def test_in_a_pipeline(self, folder):
        class Odd(Policy):
            def decide(self, frame, state) -> BlockMask:
                return state.grid.all() if frame.index % 2 else state.grid.none()

        images = [noise(24, 16, seed) for seed in range(4)]
        model = load_model(f"{folder}/net.py:colours")
        got = list(Pipeline(model, Odd()).run(frame(image, n) for n, image in enumerate(images)))
        assert [prediction.status for prediction in got] == [
            "computed",
            "computed",
            "reused",
            "computed",
        ]
        for prediction, image in zip(
            got, [images[0], images[1], images[1], images[3]], strict=True
        ):
            np.testing.assert_array_equal(prediction.result.labels, image.argmax(axis=2))


def tiny(folder: Path) -> VisionModel:
    """A network of one convolution, for pictures of any size."""
    (folder / "tiny.py").write_text(
        "import torch\n\ndef net():\n    return torch.nn.Conv2d(3, 2, 3, padding=1)\n"
    )
    (folder / "tiny.toml").write_text(
        'name = "tiny"\ntask = "segmentation"\n[input]\nsize = "source"\n'
        '[output]\npostprocess = "argmax"\nlabels = ["a", "b"]\n'
    )
    return load_model(f"{folder}/tiny.py:net")


def test_threads_that_share_a_model_make_its_network_once(tmp_path):
    model = tiny(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        caches = list(pool.map(lambda _: model.new_cache((64, 96)), range(4)))
    assert len({id(cache.network) for cache in caches}) == 1
    assert model.share(model.grid((64, 96)).none()) == 0


def test_networks_for_many_sizes_do_not_pile_up(tmp_path):
    model = tiny(tmp_path)
    for side in range(1, 8):
        model.new_cache((32 * side, 32))
    assert len(model._networks) == 4
    assert model.new_cache((224, 32)).network is model.new_cache((224, 32)).network


DENSE = """
import torch


class Flat(torch.nn.Module):
    '''What it does depends on its input, so it cannot be captured.'''

    def forward(self, x):
        return -x if x.sum() > 1e9 else x * 1.0


def flat():
    return Flat()
"""


def test_a_network_that_runs_whole_gets_the_whole_picture(folder, caplog):
    (folder / "flat.py").write_text(DENSE, "utf-8")
    (folder / "flat.toml").write_text(CARD, "utf-8")
    model = load_model(f"{folder}/flat.py:flat", block=8)
    cache, grid = model.new_cache((24, 16)), model.grid((24, 16))
    assert "runs dense" in caplog.text
    model(frame(noise(24, 16)), grid.all(), cache)
    mask = grid.none()
    mask.active[0, 0] = True
    result = model(frame(noise(24, 16, 1)), mask, cache)
    np.testing.assert_array_equal(result.labels, noise(24, 16, 1).argmax(axis=2))


class TestStream:
    def test_results_of_blocks_equal_those_of_a_stateless_model(self, folder):
        model = load_model(f"{folder}/net.py:colours", block=8)
        size = (70, 100)
        cache, grid = model.new_cache(size), model.grid(size)
        random = np.random.default_rng(0)
        shown, kept = np.zeros((*size, 3), np.uint8), []
        for index in range(12):
            image = noise(*size, index)
            mask = BlockMask(grid, random.random(grid.shape) < (0.03 if index else 2))
            shown[mask.pixels(*size)] = image[mask.pixels(*size)]
            result = model(frame(image, index), mask, cache)
            kept.append((result, shown.copy()))
        for result, picture in kept:  # what was handed out stays as it was
            np.testing.assert_array_equal(result.labels, picture.argmax(axis=2))
            np.testing.assert_allclose(
                result.logits[:, : size[0], : size[1]].transpose(1, 2, 0), picture / 255, rtol=1e-6
            )
