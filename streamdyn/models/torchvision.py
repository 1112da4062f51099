"""Networks of torchvision, with the weights and the preprocessing it has for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamdyn.errors import ModelError
from streamdyn.models.card import ModelCard
from streamdyn.models.imageprocessor import letterbox
from streamdyn.models.python import finish
from streamdyn.models.request import Request
from streamdyn.models.vision import VisionModel


def load(target: str, request: Request) -> VisionModel:
    """The network that torchvision knows under this name, with its best weights.

    Raises:
        ModelError: torchvision is not installed or has no such weights, the network is of a kind
            that its weights do not describe, or the card cannot be used.
    """
    try:
        from torchvision.models import (  # type: ignore[import-not-found]  # the user's to install
            get_model,
            get_model_weights,
        )
    except (ImportError, RuntimeError) as error:  # RuntimeError: it was built for another torch
        raise ModelError(
            f"model torchvision:{target} needs torchvision: pip install torchvision ({error})"
        ) from None
    card = request.read_card()
    try:
        weights = get_model_weights(target).DEFAULT
        card = card or _derive_card(target, weights)
        module = get_model(target, weights=weights)
    except ModelError:
        raise
    except Exception as error:  # an unknown name, no connection, no room for the weights
        raise ModelError(f"model torchvision:{target} cannot be loaded: {error}") from error
    return finish(module, card, request, ("out",) if card.task == "segmentation" else None)


def _derive_card(target: str, weights: Any) -> ModelCard:
    preset = weights.transforms()
    match type(preset).__name__:
        case "ImageClassification":
            task, postprocess = "recognition", "topk"
            crop, resized = preset.crop_size[0], preset.resize_size[0]
            size = {"size": [crop, crop], "fit": "crop", "crop_fraction": crop / resized}
        case "SemanticSegmentation":
            task, postprocess = "segmentation", "argmax"
            size = letterbox(preset.resize_size[0])
        case kind:
            raise ModelError(
                f"model torchvision:{target} is made for {kind}; streamdyn runs torchvision's "
                f"image classification and semantic segmentation"
            )
    table = {
        "name": target,
        "task": task,
        "input": {
            **size,
            "mean": preset.mean,
            "std": preset.std,
            "interpolation": "area",  # torchvision averages where it shrinks
        },
        "output": {"postprocess": postprocess, "labels": weights.meta["categories"]},
    }
    return ModelCard.parse(table, f"model torchvision:{target}", Path())
