"""Why a model cannot be captured, in words for its user."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType

import torch


def explain(error: BaseException, module: torch.nn.Module, size: tuple[int, int]) -> str:
    """Say which layer of a module stopped the tracing of it, and why."""
    where = f"layer {name}" if (name := _layer(error, module)) else "the network"
    if "data-dependent" in str(error):
        return (
            f"the network cannot be captured: {where} decides by the values of its input what to "
            f"compute (an `if`, a loop, an index or a size that is taken from a tensor); only a "
            f"fixed computation can run on blocks"
        )
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (
        f"the network cannot be captured: {where} fails on an input of {size[0]}x{size[1]} px: "
        f"{lines[0]}"
    )


def _layer(error: BaseException, module: torch.nn.Module) -> str:
    """The innermost layer that was being called; empty if none is known."""
    names = {id(layer): name for name, layer in module.named_modules()}
    found = ""
    for frame in _frames(error):
        code = frame.f_code
        first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        found = names.get(id(first), found)
    return found


def _frames(error: BaseException) -> Iterator[FrameType]:
    trace = error.__traceback__
    while trace:
        yield trace.tb_frame
        trace = trace.tb_next
