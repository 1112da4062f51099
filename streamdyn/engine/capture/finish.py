"""The end of a capture: what the model returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind
from torch.utils import _pytree as pytree

from streamdyn.engine.capture.builder import Builder
from streamdyn.engine.capture.dense import Pending, shape_of
from streamdyn.engine.capture.layout import Laid, Layout
from streamdyn.engine.graph import Graph
from streamdyn.errors import ModelError


@dataclass(frozen=True, slots=True)
class Slot:
    """Stands for a tensor in what a module returns."""

    place: int  # among the tensors that depend on the image


@dataclass(frozen=True, slots=True)
class Rebuild:
    """From the tensors that depend on the image to all that a module returned."""

    template: Any  # what the module returned, with slots for these tensors

    def __call__(self, tensors: Sequence[Any]) -> Any:
        def fill(leaf: Any) -> Any:
            return tensors[leaf.place] if isinstance(leaf, Slot) else leaf

        return pytree.tree_map(fill, self.template)


def finish(builder: Builder, program: ExportedProgram) -> Graph:
    """The graph of everything that was captured, and of the outputs.

    Raises:
        ModelError: the module returns nothing that depends on the image, or it has a memory.
    """
    for spec in program.graph_signature.output_specs:
        if spec.kind == OutputKind.BUFFER_MUTATION:
            raise ModelError(
                f"the network cannot be captured: it keeps something from one image to the next, "
                f"in its buffer {spec.target!r}"
            )
    leaves = _returned(builder, program)
    chosen = [leaf for leaf in leaves if isinstance(leaf, Laid)]
    if not chosen:
        raise ModelError("the network cannot be captured: it returns nothing made of the image")
    slots = map(Slot, range(len(chosen)))
    filled = [next(slots) if isinstance(leaf, Laid) else leaf for leaf in leaves]
    template = pytree.tree_unflatten(filled, program.call_spec.out_spec)
    return Graph(
        nodes=builder.nodes,
        shapes=builder.shapes,
        outputs=tuple(leaf.value for leaf in chosen),
        output_names=_names(template, len(chosen)),
        views=tuple(leaf.layout for leaf in chosen),
        rebuild=Rebuild(template),
    )


def _returned(builder: Builder, program: ExportedProgram) -> list[Any]:
    """Everything that the module returned, one after another: laid out, or constants."""
    given = program.graph.output_node().args[0]
    assert isinstance(given, Sequence)
    leaves = [
        builder.env[leaf] if isinstance(leaf, fx.Node) else leaf
        for leaf, spec in zip(given, program.graph_signature.output_specs, strict=True)
        if spec.kind == OutputKind.USER_OUTPUT
    ]
    pending = [leaf.node for leaf in leaves if isinstance(leaf, Pending)]
    if waiting := [node for node in pending if node in builder.waiting]:
        builder.settle({node: Layout.plain(shape_of(node)) for node in waiting})
    return [builder.env[leaf.node] if isinstance(leaf, Pending) else leaf for leaf in leaves]


def _names(template: Any, count: int) -> tuple[str, ...]:
    """What the tensors are called in what the module returns: "logits", "aux.0"."""
    found = {slot.place: name for name, slot in _named(template)}
    return tuple(found.get(place, f"output.{place}") for place in range(count))


def _named(structure: Any, prefix: str = "") -> Iterator[tuple[str, Slot]]:
    if isinstance(structure, Slot):
        yield prefix or "output", structure
    elif isinstance(structure, Mapping):
        for key, value in structure.items():
            yield from _named(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(structure, (tuple, list)):
        yield from _named(dict(enumerate(structure)), prefix)
