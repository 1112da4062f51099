"""A card to start from, for a model that has none."""

from __future__ import annotations

_CARD = """\
name = "{name}"
task = "detection"       # or "recognition", "segmentation"

[input]
size = {size}{note}
color = "rgb"            # or "bgr"
scale = 255.0            # input = (pixel / scale - mean) / std
mean = [0.0, 0.0, 0.0]
std = [1.0, 1.0, 1.0]

[output]
postprocess = "yolo"     # or "fastestdet", "detr", "topk", "argmax", "./file.py:function"
labels = "labels.txt"    # one per line, or a list: ["person", "car"]"""


def missing_card(
    model: str, name: str, size: tuple[int, int] | None = None, facts: str = ""
) -> str:
    """The message that asks for a card, with one to complete.

    Args:
        size: of the input, where the file fixes it.
        facts: what else the file says, one comment line each.
    """
    text = _CARD.format(
        name=name,
        size=list(size) if size else '"source"',
        note="" if size else "          # or [height, width]",
    )
    return (
        f"{model} has no card, so its task, colours, scaling and labels are unknown. "
        f"Save this as {name}.toml beside it, or elsewhere for --card, and correct it:\n\n"
        f"{facts}{text}"
    )
