"""A graph carried to another input size, as if the model had been captured there.

Files are made for one size and say so in the shapes that they reshape to. Their graphs do not: what
is left of such reshapes are choices of channels, and ways to look at the outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from streamdyn.engine.capture.layout import Layout
from streamdyn.engine.capture.statistics import GroupStatistics
from streamdyn.engine.graph import (
    Concat,
    Constant,
    Conv,
    ConvTranspose,
    Dense,
    GlobalPool,
    Graph,
    Node,
    Pad,
    Pool,
    Resize,
    windows,
)
from streamdyn.errors import ModelError

Shape = tuple[int, ...]


def rescale(graph: Graph, size: tuple[int, int]) -> Graph:
    """The same network on an input of another size.

    Raises:
        ModelError: a layer works at the size of the graph only.
    """
    image = graph.shapes[0]
    shapes: list[Shape] = [*graph.shapes]
    shapes[0] = (1, 3, *size)
    for node in graph.nodes:
        before = [graph.shapes[value] for value in node.inputs]
        after = [shapes[value] for value in node.inputs]
        if before == after and not isinstance(node.op, Resize):
            continue
        for value in node.outputs:
            shape = _shape(node, before, after, graph.shapes[value], (image, shapes[0]))
            if shape is None:
                raise ModelError(_refusal(image, size, f"layer {node.name} works"))
            shapes[value] = shape
    views = [
        _view(view, shapes[value]) for view, value in zip(graph.views, graph.outputs, strict=True)
    ]
    if None in views:
        name = graph.output_names[views.index(None)]
        raise ModelError(_refusal(image, size, f"its output {name!r} can be given"))
    return replace(graph, shapes=shapes, views=tuple(view for view in views if view))


def _refusal(image: Shape, size: tuple[int, int], what: str) -> str:
    return (
        f"the network is made for an input of {image[2]}x{image[3]} px and cannot take "
        f"{size[0]}x{size[1]}: {what} at that size only; ask for that size, or export the model "
        f"with dynamic axes"
    )


def _shape(
    node: Node, before: Sequence[Shape], after: Sequence[Shape], old: Shape, images: Sequence[Shape]
) -> Shape | None:
    """Shape of an output whose inputs had the shapes `before`, now `after`; None: it has none."""
    op = node.op
    match op:
        case Conv() | Pool():
            kernel = op.weight.shape[2:] if isinstance(op, Conv) else op.kernel
            space = zip(
                after[0][2:], kernel, op.stride, op.padding[:2], op.padding[2:], op.dilation,
                strict=True,
            )  # fmt: skip
            sides = [windows(*axis) for axis in space]
            return (*old[:2], *sides) if min(sides) > 0 else None
        case ConvTranspose():
            grown = zip(old[2:], before[0][2:], after[0][2:], op.stride, strict=True)
            return (*old[:2], *(side + (new - was) * step for side, was, new, step in grown))
        case Resize():
            # What is blown up from one pixel follows the image.
            start = images if before[0][2:] == (1, 1) else (before[0], after[0])
            return _scaled(old, *start)
        case Pad(padding=(top, left, bottom, right)):
            return (*old[:2], after[0][2] + top + bottom, after[0][3] + left + right)
        case GlobalPool():
            return old
        case Dense():
            return old if isinstance(op.function, GroupStatistics) else None
        case Constant():
            return None
        case Concat():
            return (*old[:2], *after[0][2:]) if len({shape[2:] for shape in after}) == 1 else None
        case _:
            return _broadcast(old, after)


def _scaled(old: Shape, was: Shape, new: Shape) -> Shape | None:
    """A shape that grows as another does; None where that does not come out even."""
    products = [side * b for side, b in zip(old[2:], new[2:], strict=True)]
    if any(product % a for product, a in zip(products, was[2:], strict=True)):
        return None
    return (*old[:2], *(product // a for product, a in zip(products, was[2:], strict=True)))


def _broadcast(old: Shape, inputs: Sequence[Shape]) -> Shape | None:
    """Of an operation on each pixel of maps that agree in size, or are one pixel."""
    sides = inputs[0][2:]
    agree = all(shape[2:] in (sides, (1, 1)) for shape in inputs)
    return (*old[:2], *sides) if agree else None


def _view(view: Any, base: Shape) -> Layout | None:
    return view.rebased(base) if isinstance(view, Layout) else None
