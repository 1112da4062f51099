"""What an image processor of transformers does to a picture, as the input of a model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NEAREST = 0  # Pillow's code


def input_fields(processor: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a card's [input] from a preprocessor_config.json.

    Where the processor's input depends on the picture's shape, the card letterboxes it.
    """
    fields = _geometry(processor)
    if processor.get("do_rescale", True):
        fields["scale"] = round(1 / processor.get("rescale_factor", 1 / 255), 6)
    else:
        fields["scale"] = 1.0
    if processor.get("do_normalize", True) and "image_mean" in processor:
        fields["mean"] = processor["image_mean"]
        fields["std"] = processor["image_std"]
    if processor.get("do_flip_channel_order"):
        fields["color"] = "bgr"
    if fields.get("fit") == "letterbox":  # these pad with zeros, which is the mean
        mean = fields.get("mean", [0.0])
        fields["pad"] = min(max(round(sum(mean) / len(mean) * fields["scale"]), 0), 255)
    # Pillow averages where it shrinks, whatever the filter.
    if fields["size"] != "source" and processor.get("resample", 2) != _NEAREST:
        fields["interpolation"] = "area"
    return fields


def _geometry(processor: Mapping[str, Any]) -> dict[str, Any]:
    if not processor.get("do_resize", True):
        return {"size": "source"}
    size = _sides(processor.get("size", 224), processor.get("max_size"))
    short = size.get("shortest_edge")
    if processor.get("do_center_crop") and "crop_size" in processor:
        crop = _sides(processor["crop_size"])
        resized = short or min(size["height"], size["width"])
        fraction = min(min(crop["height"], crop["width"]) / resized, 1.0)
        return {
            "size": [crop["height"], crop["width"]],
            "fit": "crop",
            "crop_fraction": fraction,
        }
    if short is None:
        return {"size": [size["height"], size["width"]]}
    if "crop_pct" in processor:  # ConvNeXT: small inputs are cropped, large ones squeezed
        crop_fields = {"fit": "crop", "crop_fraction": processor["crop_pct"]}
        return {"size": [short, short], **(crop_fields if short < 384 else {})}
    return letterbox(short, size.get("longest_edge"))


def letterbox(short: int, long: int | None = None) -> dict[str, Any]:
    """Fields of an input for pictures that should be resized to a short side, whatever the long.

    Args:
        long: the most that the long side may have; None: enough for 16:9, the shape of video.
    """
    sides = short, long or round(short * 16 / 9)
    return {"size": [-(-side // 32) * 32 for side in sides], "fit": "letterbox"}


def _sides(size: int | Mapping[str, int], longest: int | None = None) -> Mapping[str, int]:
    """Old files give a number where new ones name the sides."""
    if not isinstance(size, int):
        return size
    if longest:
        return {"shortest_edge": size, "longest_edge": longest}
    return {"height": size, "width": size}
