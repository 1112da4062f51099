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
class Rebuild:
    """From the tensors that depend on the image to all that a module returned."""

    spec: pytree.TreeSpec
    leaves: tuple[Any, ...]
    places: tuple[int, ...]  # of the tensors among the leaves

    def __call__(self, tensors: Sequence[Any]) -> Any:
        leaves = [*self.leaves]
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        return pytree.tree_unflatten(leaves, self.spec)


def finish(builder: Builder, program: ExportedProgram) -> Graph:
    """The graph of everything that was captured, and of the outputs.

    Raises:
        ModelError: the module returns nothing that depends on the image.
    """
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
    leaves = [builder.env[leaf.node] if isinstance(leaf, Pending) else leaf for leaf in leaves]
    places = tuple(place for place, leaf in enumerate(leaves) if isinstance(leaf, Laid))
    if not places:
        raise ModelError("the network cannot be captured: it returns nothing made of the image")
    rebuild = Rebuild(
        program.call_spec.out_spec,
        tuple(None if isinstance(leaf, Laid) else leaf for leaf in leaves),
        places,
    )
    chosen: list[Laid] = [leaves[place] for place in places]
    return Graph(
        nodes=builder.nodes,
        shapes=builder.shapes,
        outputs=tuple(leaf.value for leaf in chosen),
        output_names=_names(rebuild, len(places)),
        views=tuple(leaf.layout for leaf in chosen),
        rebuild=rebuild,
    )


class _Slot:
    """Stands for a tensor in what a module returns."""


def _names(rebuild: Rebuild, count: int) -> tuple[str, ...]:
    """What the tensors are called in what the module returns: "logits", "aux.0"."""
    slots = [_Slot() for _ in range(count)]
    found = {id(slot): name for name, slot in _named(rebuild(slots))}
    return tuple(found.get(id(slot), f"output.{n}") for n, slot in enumerate(slots))


def _named(structure: Any, prefix: str = "") -> Iterator[tuple[str, _Slot]]:
    if isinstance(structure, _Slot):
        yield prefix or "output", structure
    elif isinstance(structure, Mapping):
        for key, value in structure.items():
            yield from _named(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(structure, (tuple, list)):
        yield from _named(dict(enumerate(structure)), prefix)
