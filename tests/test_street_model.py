"""The embedded street network: small, plain, and good on streets that it never saw."""

import gzip
import json
import tomllib
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import nn

from streamdyn.metrics import MeanIoU
from streamdyn.models.builtin.street import StreetNet, street
from streamdyn.pipelines import make_demo_clip
from streamdyn.pipelines.train_street import (
    FIRST_TRAINING_SEED,
    Picture,
    batches,
    evaluate,
    held_out,
    loss_of,
    make_sample,
    predict,
    save,
    through_h264,
    train,
)
from streamdyn.records import from_rle
from streamdyn.sources.synthetic.street import CLASSES, Street

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def network() -> StreetNet:
    return street()


@pytest.fixture(scope="module")
def truth() -> list[dict[str, object]]:
    with gzip.open(DATA / "street.truth.jsonl.gz") as lines:
        return [json.loads(line) for line in lines]


def labels_of(line: dict) -> Picture:
    labels = np.full(line["result"]["size"], 255, np.uint8)
    for segment in line["result"]["segments"]:
        labels[from_rle(segment["rle"])] = segment["label"]
    return labels


def test_the_network_is_small(network: StreetNet) -> None:
    assert sum(weight.numel() for weight in network.parameters()) < 2_000_000
    assert (files("streamdyn.models.builtin") / "street.pt").stat().st_size < 5_000_000
    assert not network.training


def test_every_layer_is_one_that_can_run_on_blocks(network: StreetNet) -> None:
    leaves = [module for module in network.modules() if not list(module.children())]
    assert {type(leaf) for leaf in leaves} == {nn.Conv2d, nn.BatchNorm2d, nn.ReLU}
    kernels = {leaf.kernel_size for leaf in leaves if isinstance(leaf, nn.Conv2d)}
    assert kernels == {(1, 1), (3, 3)}


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (512, 1024)])
def test_any_multiple_of_32_gives_logits_at_half_the_size(
    network: StreetNet, size: tuple[int, int]
) -> None:
    with torch.inference_mode():
        logits = network(torch.zeros(1, 3, *size))
    assert logits.shape == (1, len(CLASSES), size[0] // 2, size[1] // 2)
    assert logits.isfinite().all()


def test_the_card_names_the_classes_of_the_generator() -> None:
    card = tomllib.loads((files("streamdyn.models.builtin") / "street.toml").read_text())
    assert tuple(card["output"]["labels"]) == CLASSES
    assert card["input"]["multiple"] == 32


@pytest.mark.parametrize("pan", [0.0, 2.0])
def test_held_out_streets_after_h264(network: StreetNet, pan: float) -> None:
    quality = evaluate(network, held_out([7, 8, 9], pan=pan, frames=2))
    assert not np.isnan(quality.per_class).any()
    assert quality.value >= 0.90


def test_the_demo_clip(network: StreetNet, truth: list[dict]) -> None:
    assert make_demo_clip.SEED < FIRST_TRAINING_SEED
    quality = MeanIoU(len(CLASSES))
    with av.open(DATA / "street.mp4") as container:
        frames = list(container.decode(video=0))
    assert len(frames) == len(truth) == 250
    for line, frame in list(zip(truth, frames, strict=True))[::25]:
        assert line["pts_seconds"] == pytest.approx(frame.time)
        quality.add(predict(network, frame.to_ndarray(format="rgb24")), labels_of(line))
    assert quality.value >= 0.90


def test_the_demo_clip_is_what_its_script_makes(truth: list[dict]) -> None:
    clip = Street(seed=make_demo_clip.SEED, fps=make_demo_clip.FPS, frames=make_demo_clip.FRAMES)
    for index in (0, 123):
        scene = clip.render(index)
        np.testing.assert_array_equal(labels_of(truth[index]), scene.labels)
        assert truth[index]["boxes"] == {
            "boxes": scene.boxes.tolist(),
            "labels": scene.box_labels.tolist(),
            "identities": scene.identities.tolist(),
        }
    assert sum(path.stat().st_size for path in DATA.glob("street.*")) < 2_000_000


def test_the_demo_script_writes_what_it_says(tmp_path: Path) -> None:
    clip = Street(seed=1, height=64, width=96, frames=6)
    make_demo_clip.write_clip(clip, tmp_path / "clip.mp4")
    make_demo_clip.write_truth(clip, tmp_path / "truth.jsonl.gz")
    with av.open(tmp_path / "clip.mp4") as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([i / 25 for i in range(6)])
    with gzip.open(tmp_path / "truth.jsonl.gz") as lines:
        read = [labels_of(json.loads(line)) for line in lines]
    np.testing.assert_array_equal(read, [scene.labels for scene in clip])


def test_compression_hurts_but_keeps_the_picture() -> None:
    images = [Street(seed=4, height=128, width=256).render(i).image for i in range(3)]
    errors = [
        np.abs(through_h264(images, crf)[-1].astype(float) - images[-1]).mean() for crf in (20, 34)
    ]
    assert 0 < errors[0] < errors[1] < 12


def test_a_training_sample_is_a_labelled_picture() -> None:
    image, labels = make_sample(FIRST_TRAINING_SEED)
    assert image.shape == (512, 1024, 3)
    assert labels.shape == (512, 1024)
    assert len(np.unique(labels)) >= 5


def test_batches_keep_pictures_and_labels_together() -> None:
    labels = np.random.default_rng(0).integers(0, 8, (2, 16, 32), np.uint8)
    labels = labels.repeat(32, 1).repeat(32, 2)  # squares of 32 px
    images = np.stack([labels * 30] * 3, axis=-1)
    pictures, classes = next(batches(images, labels, 6, 1, np.random.default_rng(1)))
    assert pictures.shape == (6, 256, 512, 3)
    assert classes.shape == (6, 256, 512)
    for picture, of_each in zip(pictures, classes, strict=True):
        tones = [np.median(picture[of_each == label, 1]) for label in np.unique(of_each)]
        assert (np.diff(tones) > 0).all()


def test_the_loss_is_least_for_the_truth_and_counts_small_classes_as_much() -> None:
    truth = torch.zeros(1, 32, 32, dtype=torch.long)
    truth[:, :2, :2] = 1
    sure = nn.functional.one_hot(truth, 3).permute(0, 3, 1, 2).float() * 20
    assert loss_of(sure, truth).item() == pytest.approx(0, abs=1e-3)
    blind = sure.clone()  # to the small class
    blind[:, 0], blind[:, 1] = 20, 0
    assert 0.5 < loss_of(blind, truth).item() < 0.7


def test_trained_weights_survive_the_file(tmp_path: Path) -> None:
    scene = Street(seed=1).render(0)
    torch.manual_seed(0)
    trained = StreetNet()
    train(trained, scene.image[None], scene.labels[None], steps=3, batch=1, seed=0)
    save(trained, tmp_path / "weights.pt")
    loaded, fresh = StreetNet(), StreetNet().state_dict()
    loaded.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    for name, value in loaded.state_dict().items():
        assert value.dtype == fresh[name].dtype
        torch.testing.assert_close(value, trained.state_dict()[name], rtol=1e-3, atol=1e-6)
