"""The weights of a plan's convolutions, in the order in which kernels read them."""

from __future__ import annotations

import numpy as np

from streamdyn.engine.cpu.matmul import Packed, pack
from streamdyn.engine.cpu.rows import RowType
from streamdyn.engine.cpu.windows import PackedDepthwise, pack_depthwise
from streamdyn.engine.graph import Conv
from streamdyn.engine.plan import Plan


class Weights:
    """The packed weights of a plan's convolutions: made once, whatever the number of streams."""

    def __init__(self, plan: Plan, dtype: RowType) -> None:
        self.packed: dict[int, Packed] = {}
        self.depthwise: dict[int, PackedDepthwise] = {}
        for number, step in enumerate(plan.steps):
            op = step.node.op
            if step.dense or not isinstance(op, Conv):
                continue
            if is_depthwise(op):
                by_tap = np.ascontiguousarray(op.weight.reshape(len(op.weight), -1).T)
                self.depthwise[number] = pack_depthwise(by_tap, op.bias, dtype)
            else:
                self.packed[number] = _pack(op, dtype)


def is_depthwise(op: Conv) -> bool:
    """Whether each channel is convolved on its own."""
    return op.groups > 1 and op.weight.shape[0] == op.groups and op.weight.shape[1] == 1


def _pack(op: Conv, dtype: RowType) -> Packed:
    channels, inputs, high, wide = op.weight.shape
    weight = op.weight.reshape(op.groups, channels // op.groups, inputs, high, wide)
    by_tap = weight.transpose(0, 3, 4, 2, 1)  # (groups, high, wide, inputs, channels)
    taps = (high, wide * inputs) if runs_along_rows(op) else (high * wide, inputs)
    shaped = by_tap.reshape(op.groups, *taps, channels // op.groups)
    return pack(np.ascontiguousarray(shaped), op.bias, dtype)


def runs_along_rows(op: Conv) -> bool:
    """Whether the weights of a kernel's row read numbers that lie one after another."""
    return op.groups == 1 and (op.dilation[1] == 1 or op.weight.shape[3] == 1)
