"""How far a change in the inputs of a step reaches in its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockMask
from streamdyn.engine.graph import Conv, GlobalPool, Graph, Interleave, Pad, Pool, Resize
from streamdyn.engine.plan import Step, is_map
from streamdyn.engine.resampling import samples

Changed = NDArray[np.bool_]  # (H, W) of a map; (1, 1) of a value without pixels
NOTHING: Final = np.zeros((1, 1), bool)


def image_change(mask: BlockMask) -> Changed:
    """The pixels of the input that a mask asks for."""
    grid = mask.grid
    rows = np.arange(grid.height) // grid.block
    cols = np.arange(grid.width) // grid.block
    return mask.active[:, cols][rows]


def reach(step: Step, changed: Mapping[int, Changed], graph: Graph) -> dict[int, Changed]:
    """For each value that a step makes, the pixels that depend on a changed pixel of its inputs."""
    if not step.dense and is_map(graph.shapes[step.target]):
        return {step.target: _reach_on_map(step, changed, graph.shapes[step.target][2:])}
    anything = any(changed[value].any() for value in step.reads)
    sizes = {value: graph.shapes[value] for value in (*step.node.outputs, step.target)}
    return {
        value: np.full(shape[2:] if is_map(shape) else (1, 1), anything)
        for value, shape in sizes.items()
    }


def _reach_on_map(step: Step, changed: Mapping[int, Changed], size: tuple[int, ...]) -> Changed:
    found = np.zeros(size, bool)
    if step.residual is not None:
        found |= changed[step.residual]
    for place, value in enumerate(step.node.inputs):
        each = changed[value]
        if each.shape == (1, 1) or not each.any():  # a value without pixels reaches all of them
            found |= each.any()
        elif isinstance(step.node.op, Interleave):
            rows, cols = step.node.op.stride
            phase = found[place // cols :: rows, place % cols :: cols]
            phase |= each[: phase.shape[0], : phase.shape[1]]
        else:
            found |= _spread(step, each, size)
    return found


def _spread(step: Step, changed: Changed, size: tuple[int, ...]) -> Changed:
    match step.node.op:
        case Conv() as op:
            kernel = op.weight.shape[2:]
            for axis in (0, 1):
                changed = _windows(
                    changed, axis, size[axis], kernel[axis], op.stride[axis],
                    op.padding[axis], op.dilation[axis],
                )  # fmt: skip
        case Pool() as op:
            for axis in (0, 1):
                changed = _windows(
                    changed, axis, size[axis], op.kernel[axis], op.stride[axis],
                    op.padding[axis], op.dilation[axis],
                )  # fmt: skip
        case Pad() as op:
            for axis in (0, 1):
                changed = _windows(changed, axis, size[axis], 1, 1, op.padding[axis], 1)
        case GlobalPool():
            changed = np.full(size, changed.any())
        case Resize() as op:
            for axis in (0, 1):
                near, _ = samples(op, changed.shape[axis], size[axis])
                changed = np.logical_or.reduce([changed.take(n, axis) for n in near.T])
    return changed


def _windows(
    changed: Changed, axis: int, count: int, kernel: int, stride: int, before: int, dilation: int
) -> Changed:
    """Whether any pixel of each of `count` windows along an axis changed."""
    reach = (count - 1) * stride + (kernel - 1) * dilation + 1
    after = max(reach - before - changed.shape[axis], 0)
    sides = [(0, 0), (0, 0)]
    sides[axis] = (max(before, 0), after)
    # Pixels that read nothing but padding are computed with the whole map.
    padded = np.pad(changed, sides, constant_values=changed.all())
    padded = padded.swapaxes(0, axis)[max(-before, 0) :]
    found = np.zeros((count, padded.shape[1]), bool)
    for tap in range(kernel):
        found |= padded[tap * dilation :][: (count - 1) * stride + 1 : stride]
    return found.swapaxes(0, axis)
