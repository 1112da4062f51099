"""Models of transformers: the same numbers as transformers itself, and no code of the folder."""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from streamdyn import Classification, Detections, Frame, ModelError, Segmentation, load_model
from streamdyn.models.imageprocessor import input_fields

NAMES = {0: "cat", 1: "dog", 2: "bird"}
SIZE = (64, 96)
PROCESSOR = {
    "do_resize": True,
    "size": {"height": 64, "width": 96},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.4, 0.5, 0.6],
    "image_std": [0.2, 0.25, 0.3],
}


def tiny(kind: str) -> Any:
    """A small random network; its weights are spread so that its answers differ."""
    labels = {"id2label": NAMES, "label2id": {name: n for n, name in NAMES.items()}}
    match kind:
        case "classification":
            config = transformers.ResNetConfig(
                embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **labels
            )
            model = transformers.ResNetForImageClassification(config)
        case "segmentation":
            config = transformers.SegformerConfig(
                hidden_sizes=[8] * 4,
                num_attention_heads=[1] * 4,
                depths=[1] * 4,
                decoder_hidden_size=8,
                **labels,
            )
            model = transformers.SegformerForSemanticSegmentation(config)
        case "yolos":
            config = transformers.YolosConfig(
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
                image_size=list(SIZE),
                num_detection_tokens=9,
                use_mid_position_embeddings=False,
                **labels,
            )
            model = transformers.YolosForObjectDetection(config)
        case _:
            backbone = transformers.RTDetrResNetConfig(
                embedding_size=8,
                hidden_sizes=[8, 8, 16, 16],
                depths=[1] * 4,
                layer_type="basic",
                out_features=["stage2", "stage3", "stage4"],
            )
            config = transformers.RTDetrConfig(
                backbone_config=backbone,
                encoder_in_channels=[8, 16, 16],
                encoder_hidden_dim=16,
                d_model=16,
                num_queries=8,
                encoder_ffn_dim=16,
                encoder_attention_heads=2,
                decoder_layers=1,
                decoder_ffn_dim=16,
                decoder_in_channels=[16] * 3,
                decoder_attention_heads=2,
                decoder_n_points=2,
                num_denoising=0,
                **labels,
            )
            model = transformers.RTDetrForObjectDetection(config)
    return model.eval()


def save(model: Any, folder: Path, processor: dict[str, Any] = PROCESSOR) -> str:
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")
    return f"hf:{folder}"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("classifier")
    save(tiny("classification"), folder)
    return folder


def picture() -> Frame:
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    return Frame.from_image(image, index=0, pts_seconds=0.0)


def raw_outputs(model: Any, frame: Frame) -> Any:
    """What transformers says of the picture, preprocessed by the book."""
    pixels = (frame.image / 255 - PROCESSOR["image_mean"]) / PROCESSOR["image_std"]
    with torch.inference_mode():
        return model(torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float())


def result_of(name: str, frame: Frame) -> Any:
    model = load_model(name)
    return model(frame, model.grid(frame.size).all(), model.new_cache(frame.size))


def test_classification_equals_transformers(tmp_path):
    torch.manual_seed(0)
    model = tiny("classification")
    result = result_of(save(model, tmp_path), picture())
    scores = raw_outputs(model, picture()).logits.softmax(-1)[0].sort(descending=True)
    assert isinstance(result, Classification)
    assert result.labels.tolist() == scores.indices.tolist()
    assert result.names == tuple(NAMES[label] for label in result.labels)
    np.testing.assert_allclose(result.scores, scores.values, rtol=1e-4)


def test_segmentation_equals_transformers(tmp_path):
    torch.manual_seed(0)
    model = tiny("segmentation")
    result = result_of(save(model, tmp_path), picture())
    logits = torch.nn.functional.interpolate(
        raw_outputs(model, picture()).logits, SIZE, mode="bilinear", align_corners=False
    )
    assert isinstance(result, Segmentation)
    assert result.classes == ("cat", "dog", "bird")
    assert (result.labels == logits[0].argmax(0).numpy()).mean() > 0.999


@pytest.mark.parametrize("kind", ["yolos", "rtdetr"])
def test_detection_equals_transformers(tmp_path, kind):
    torch.manual_seed(0)
    model = tiny(kind)
    name = save(model, tmp_path)
    card = load_model(name).card
    outputs = raw_outputs(model, picture())
    if kind == "yolos":
        probabilities = outputs.logits.softmax(-1)[0, :, :-1]
        scores, labels = probabilities.max(-1)
        expected = [(s, n, q) for q, (s, n) in enumerate(zip(scores, labels, strict=True))]
    else:
        probabilities = outputs.logits.sigmoid()[0]
        expected = [(s, n, q) for q, row in enumerate(probabilities) for n, s in enumerate(row)]
    limit = sorted(float(score) for score, _, _ in expected)[len(expected) // 2]
    expected = sorted((e for e in expected if e[0] >= limit), key=lambda e: -e[0])
    (tmp_path / "low.toml").write_text(
        f'name = "low"\ntask = "detection"\n[input]\nsize = [64, 96]\n'
        f"mean = {list(card.input.mean)}\nstd = {list(card.input.std)}\n"
        f'[output]\npostprocess = "detr"\nlabels = ["cat", "dog", "bird"]\n'
        f"options = {{score = {limit - 1e-6}}}\n",
        "utf-8",
    )
    own = load_model(name, card=tmp_path / "low.toml")  # a user's card overrides the derived one
    result = own(picture(), own.grid(SIZE).all(), own.new_cache(SIZE))
    assert isinstance(result, Detections)
    assert 2 <= len(result) == len(expected)
    np.testing.assert_allclose(result.scores, [float(s) for s, _, _ in expected], rtol=1e-4)
    centres = outputs.pred_boxes[0, [q for _, _, q in expected]].numpy()
    corners = np.concatenate(
        [centres[:, :2] - centres[:, 2:] / 2, centres[:, :2] + centres[:, 2:] / 2], axis=1
    )
    limits = np.array([96, 64, 96, 64])
    np.testing.assert_allclose(result.boxes, np.clip(corners * limits, 0, limits), atol=1e-2)


def test_the_card_follows_from_the_folder(classifier):
    card = load_model(f"hf:{classifier}").card
    assert (card.name, card.task, card.output.labels) == (
        classifier.name,
        "recognition",
        ("cat", "dog", "bird"),
    )
    assert (card.input.size, card.input.fit, card.input.scale) == (SIZE, "stretch", 255.0)
    assert (card.input.mean, card.input.std) == ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


def test_several_labels_at_once_are_sigmoids(tmp_path):
    torch.manual_seed(0)
    model = tiny("classification")
    model.config.problem_type = "multi_label_classification"
    result = result_of(save(model, tmp_path), picture())
    want = raw_outputs(model, picture()).logits.sigmoid()[0].sort(descending=True).values
    np.testing.assert_allclose(result.scores, want, rtol=1e-4)


def test_a_name_is_found_in_the_local_cache(classifier, tmp_path, monkeypatch):
    import huggingface_hub

    repository = tmp_path / "models--me--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40, "utf-8")
    (repository / "snapshots").mkdir()
    (repository / "snapshots" / ("0" * 40)).symlink_to(classifier)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert load_model("hf:me/tiny").task == "recognition"
    with pytest.raises(ModelError, match=r"hf:me/large: .* no such name in the local cache"):
        load_model("hf:me/large")


def test_transformers_is_asked_for(classifier, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)  # as if it were not installed
    with pytest.raises(ModelError, match=r"needs transformers: pip install 'streamdyn\[hf\]'"):
        load_model(f"hf:{classifier}")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"hf:me/tiny needs transformers: pip install"):
        load_model("hf:me/tiny")


def test_the_image_processor_may_be_part_of_a_larger_one(classifier, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((classifier / name).read_bytes())
    processor = {"image_processor": PROCESSOR, "processor_class": "Both"}
    (tmp_path / "processor_config.json").write_text(json.dumps(processor), "utf-8")
    assert load_model(f"hf:{tmp_path}").card.input == load_model(f"hf:{classifier}").card.input


class TestWeights:
    """Of what a folder holds, only tensors are read."""

    @pytest.fixture
    def folder(self, classifier, tmp_path) -> Path:
        for name in ("config.json", "preprocessor_config.json"):
            (tmp_path / name).write_bytes((classifier / name).read_bytes())
        return tmp_path

    def test_a_pickle_of_tensors_is_read(self, classifier, folder):
        torch.save(load_file(classifier / "model.safetensors"), folder / "pytorch_model.bin")
        got, want = (result_of(f"hf:{place}", picture()) for place in (folder, classifier))
        np.testing.assert_array_equal(got.scores, want.scores)

    def test_a_pickle_of_code_is_not_run(self, folder):
        class Evil:
            def __reduce__(self):
                return (Path.touch, (folder / "executed",))

        (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Evil()}))
        with pytest.raises(ModelError, match="cannot be loaded"):
            load_model(f"hf:{folder}")
        torch.save({"weight": Evil()}, folder / "pytorch_model.bin")
        with pytest.raises(ModelError, match="cannot be loaded"):
            load_model(f"hf:{folder}")
        assert not (folder / "executed").exists()

    def test_code_of_the_folder_is_not_run(self, folder):
        config = json.loads((folder / "config.json").read_text("utf-8"))
        config |= {
            "model_type": "unheard_of",
            "auto_map": {
                "AutoConfig": "evil.Config",
                "AutoModelForImageClassification": "evil.Model",
            },
        }
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        (folder / "evil.py").write_text(
            f"from pathlib import Path\nPath({str(folder / 'executed')!r}).touch()\n", "utf-8"
        )
        with pytest.raises(ModelError, match="cannot be loaded"):
            load_model(f"hf:{folder}")
        assert not (folder / "executed").exists()

    def test_missing_weights_are_not_made_up(self, classifier, folder):
        tensors = load_file(classifier / "model.safetensors")
        del tensors["classifier.1.weight"]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ModelError, match=r"lacks 1 of its weights \(classifier.1.weight"):
            load_model(f"hf:{folder}")

    @pytest.mark.parametrize("share", [0, 0.5])
    def test_damaged_weights(self, classifier, folder, share):
        whole = (classifier / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelError, match="cannot be loaded"):
            load_model(f"hf:{folder}")

    def test_no_weights(self, folder):
        with pytest.raises(ModelError, match="cannot be loaded"):
            load_model(f"hf:{folder}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "cannot read .*config.json: No such file"),
        ("config.json", "{", "config.json is not JSON"),
        ("config.json", "[]", "config.json is not a table"),
        ("config.json", "{}", "is of architecture none; streamdyn runs those that end in"),
        (
            "config.json",
            '{"architectures": ["BertForMaskedLM"]}',
            "of architecture BertForMaskedLM",
        ),
        ("preprocessor_config.json", None, "has no preprocessor_config.json.*or give a card"),
        (
            "preprocessor_config.json",
            '{"image_mean": 3}',
            "preprocessor_config.json is of a form .*; give a card",
        ),
        (
            "preprocessor_config.json",
            '{"size": {"width": 3}}',
            "preprocessor_config.json is of a form .*; give a card",
        ),
    ],
)
def test_a_folder_that_does_not_say_what_it_holds(classifier, tmp_path, name, content, message):
    for file in classifier.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(ModelError, match=message):
        load_model(f"hf:{tmp_path}")


NORM = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
LETTERBOX_PAD = 128  # half grey: the mean


@pytest.mark.parametrize(
    ("processor", "fields"),
    [
        # ViT, ResNet of old
        ({"size": 224}, {"size": [224, 224]}),
        # SegFormer
        ({"size": {"height": 512, "width": 512}}, {"size": [512, 512]}),
        # MobileNetV2
        (
            {
                "size": {"shortest_edge": 256},
                "do_center_crop": True,
                "crop_size": {"height": 224, "width": 224},
            },
            {"size": [224, 224], "fit": "crop", "crop_fraction": 0.875},
        ),
        # ConvNeXT, small and large
        (
            {"size": {"shortest_edge": 224}, "crop_pct": 0.875},
            {"size": [224, 224], "fit": "crop", "crop_fraction": 0.875},
        ),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, {"size": [384, 384]}),
        # DETR, new and old
        (
            {"size": {"shortest_edge": 800, "longest_edge": 1333}},
            {"size": [800, 1344], "fit": "letterbox", "pad": LETTERBOX_PAD},
        ),
        (
            {"size": 800, "max_size": 1333},
            {"size": [800, 1344], "fit": "letterbox", "pad": LETTERBOX_PAD},
        ),
        # no long side: wide enough for video
        (
            {"size": {"shortest_edge": 512}},
            {"size": [512, 928], "fit": "letterbox", "pad": LETTERBOX_PAD},
        ),
        ({"do_resize": False}, {"size": "source"}),
    ],
)
def test_geometry_of_image_processors(processor, fields):
    got = input_fields(NORM | {"resample": 0} | processor)
    assert got == {"scale": 255.0, "mean": [0.5] * 3, "std": [0.5] * 3} | fields


def test_colours_of_image_processors():
    assert input_fields({"do_normalize": False}) == {
        "size": [224, 224],
        "scale": 255.0,
        "interpolation": "area",
    }
    # MobileViT takes blue first; EfficientNet may not rescale
    assert input_fields({"do_flip_channel_order": True})["color"] == "bgr"
    assert input_fields({"do_rescale": False})["scale"] == 1.0
    assert input_fields({"rescale_factor": 1 / 127.5})["scale"] == 127.5
