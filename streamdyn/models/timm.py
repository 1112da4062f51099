"""Classification networks of timm, with the weights and the preprocessing it has for them."""

from __future__ import annotations

from pathlib import Path

import torch

from streamdyn.errors import ModelError
from streamdyn.models.card import ModelCard
from streamdyn.models.python import finish
from streamdyn.models.request import Request
from streamdyn.models.vision import VisionModel


def load(target: str, request: Request) -> VisionModel:
    """The network that timm knows under this name, with its pretrained weights.

    Raises:
        ModelError: timm is not installed or has no such weights, or the card cannot be used.
    """
    try:
        import timm  # type: ignore[import-not-found]  # the user's to install
    except ImportError as error:
        raise ModelError(f"model timm:{target} needs timm: pip install timm ({error})") from None
    card = request.read_card()
    try:
        module = timm.create_model(target, pretrained=True)
    except Exception as error:  # an unknown name, no weights, no connection
        raise ModelError(f"model timm:{target} cannot be loaded: {error}") from error
    return finish(module, card or _derive_card(target, module), request)


def _derive_card(target: str, module: torch.nn.Module) -> ModelCard:
    from timm.data import (  # type: ignore[import-not-found]
        ImageNetInfo,
        infer_imagenet_subset,
        resolve_model_data_config,
    )

    subset = infer_imagenet_subset(module)
    if subset is None:
        raise ModelError(f"model timm:{target} does not say what its classes are; give a card")
    data = resolve_model_data_config(module)
    squashed = data["crop_mode"] == "squash"
    table = {
        "name": target,
        "task": "recognition",
        "input": {
            "size": data["input_size"][1:],
            "mean": data["mean"],
            "std": data["std"],
            "interpolation": "area",  # Pillow averages where it shrinks
            **({} if squashed else {"fit": "crop", "crop_fraction": data["crop_pct"]}),
        },
        "output": {"postprocess": "topk", "labels": ImageNetInfo(subset).label_descriptions()},
    }
    return ModelCard.parse(table, f"model timm:{target}", Path())
