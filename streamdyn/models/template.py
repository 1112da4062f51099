"""A card to start from, for a model that has none."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, permutations

from streamdyn.postprocess import BUILTIN
from streamdyn.postprocess.likely import Reading, Shape, readings, told

_OWN = '"./file.py:function"'


def missing_card(
    model: str,
    name: str,
    size: tuple[int, int] | None = None,
    facts: str = "",
    outputs: Mapping[str, Shape] | None = None,
) -> str:
    """The message that asks for a card, with one to complete.

    Args:
        size: of the input, where the file fixes it.
        facts: what else the file says, one comment line each.
        outputs: their shapes by name, where the file says them.
    """
    task, *output = _output_lines(outputs or {}, size)
    lines = [
        f'name = "{name}"',
        task,
        "",
        "[input]",
        f"size = {list(size)}" if size else _line("size", '"source"', "or [height, width]"),
        _line("color", '"rgb"', 'or "bgr"'),
        _line("scale", "255.0", "input = (pixel / scale - mean) / std"),
        "mean = [0.0, 0.0, 0.0]",
        "std = [1.0, 1.0, 1.0]",
        "",
        "[output]",
        *output,
    ]
    return (
        f"{model} has no card, so its task, colours, scaling and labels are unknown. "
        f"Save this as {name}.toml beside it, or elsewhere for --card, and correct it:\n\n"
        f"{facts}" + "\n".join(lines)
    )


def _output_lines(outputs: Mapping[str, Shape], size: tuple[int, int] | None) -> list[str]:
    """The task, and what the card says of the outputs, as far as their shapes tell."""
    names, found = _likely(outputs, size)
    best = found[0] if found else Reading("detection", "yolo", 0)
    others = ", ".join(f'"{task}"' for task in BUILTIN if task != best.task)
    own = outputs and all(outputs.values()) and not found
    if found:
        note = f"the outputs look like {told(found)}"
    elif own:
        note = "no built-in one reads such outputs"
    else:
        known = [name for table in BUILTIN.values() for name in table if name != best.postprocess]
        note = "or " + ", ".join([*(f'"{name}"' for name in known), _OWN])
    count = f"{best.labels} of them, " if found else ""
    lines = [
        _line("task", f'"{best.task}"', f"or {others}"),
        _line("postprocess", _OWN if own else f'"{best.postprocess}"', note),
        _line("labels", '"labels.txt"', f'{count}one per line, or a list: ["person", "car"]'),
    ]
    if names != tuple(outputs):
        lines.append(f"tensors = [{', '.join(map(repr, names))}]")
    return lines


def _likely(
    outputs: Mapping[str, Shape], size: tuple[int, int] | None
) -> tuple[tuple[str, ...], list[Reading]]:
    """The outputs that a postprocessing would read, and the ways in which; all of them, if none."""
    every = tuple(outputs)
    for names in (every, *chain(permutations(every, 2), permutations(every, 1))):
        if found := readings([outputs[name] for name in names], size[0] if size else None):
            return names, found
    return every, []


def _line(key: str, value: str, note: str) -> str:
    return f"{f'{key} = {value}':<24} # {note}"
