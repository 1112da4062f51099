"""Capture of torch modules."""

from __future__ import annotations

import copy
import io
import logging
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from streamdyn.engine.capture.builder import Builder, NotOnMaps
from streamdyn.engine.capture.convolutions import CONVOLUTIONS
from streamdyn.engine.capture.dense import Pending, gives_tensor, layer_of, operation, shape_of
from streamdyn.engine.capture.failure import explain
from streamdyn.engine.capture.finish import finish
from streamdyn.engine.capture.layout import Laid, Layout
from streamdyn.engine.capture.norms import NORMS
from streamdyn.engine.capture.pointwise import POINTWISE
from streamdyn.engine.capture.pools import POOLS
from streamdyn.engine.capture.shapes import SHAPES
from streamdyn.engine.graph import Graph
from streamdyn.errors import ModelError

LOWERINGS: Mapping[Any, Callable[..., Any]] = {
    **SHAPES, **POINTWISE, **CONVOLUTIONS, **NORMS, **POOLS,
}  # fmt: skip
"""What captures each operation of torch on maps; all others run dense."""


def capture(module: torch.nn.Module, size: tuple[int, int]) -> Graph:
    """The graph of a module that takes an image (1, 3, *size), as it is in evaluation mode.

    The module itself stays as it is; the graph holds float32 copies of its weights.

    Raises:
        ModelError: its computation is no fixed graph.
    """
    program = _export(_frozen(module), size)
    builder = Builder([(1, 3, *size)])
    with torch.no_grad():
        _bind_inputs(builder, program)
        for node in program.graph.nodes:
            if node.op == "get_attr":
                raise ModelError(
                    "the network cannot be captured: it chooses between computations while it "
                    f"runs ({node.target}); leave one of them"
                )
            if node.op == "call_function":
                builder.env[node] = _lower(builder, node)
        return finish(builder, program)


def _frozen(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of a module as it is when it is used, in plain float32 on the CPU."""
    try:
        twin = copy.deepcopy(module)
    except Exception as error:  # whatever the parts of a module raise
        raise ModelError(f"the network cannot be copied: {error}") from error
    return twin.cpu().float().eval().requires_grad_(False)


def _export(module: torch.nn.Module, size: tuple[int, int]) -> ExportedProgram:
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(module, (torch.zeros(1, 3, *size),), strict=False)
            # An empty table keeps layers whole, but makes operations in place ordinary ones.
            plain: ExportedProgram = program.run_decompositions({})
            plain.graph.eliminate_dead_code(_is_needed)  # above all torch's own assertions
            return plain
    except ModelError:
        raise
    except Exception as error:  # the model's own errors, and torch's, which share no base
        raise ModelError(explain(error, module, size)) from error


def _is_needed(node: fx.Node) -> bool:
    """Whether a node stays though nobody reads it."""
    return node.op in ("placeholder", "output")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's notes on its own tracing from the user: errors of it are raised as well."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _bind_inputs(builder: Builder, program: ExportedProgram) -> None:
    """Say what each placeholder of the traced graph stands for."""
    placeholders = [node for node in program.graph.nodes if node.op == "placeholder"]
    for node, spec in zip(placeholders, program.graph_signature.input_specs, strict=True):
        name = spec.target or ""
        if spec.kind == InputKind.USER_INPUT:
            builder.env[node] = Laid(0, Layout.plain(builder.shapes[0]))
        elif name in program.state_dict:
            builder.env[node] = program.state_dict[name].detach()
        else:
            builder.env[node] = program.constants[name]


def _lower(builder: Builder, node: fx.Node) -> Any:
    """What a traced operation stands for: handles, or constants."""
    sources = [builder.env[source] for source in node.all_input_nodes]
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), builder.env.__getitem__)
    assert callable(node.target)
    items = node.target is operator.getitem and isinstance(args[0], (list, tuple))
    if items or all(map(_is_constant, sources)):
        return node.target(*args, **kwargs)
    lowering = LOWERINGS.get(node.target)
    builder.name = layer_of(node) or operation(node)
    varying = [source for source in node.all_input_nodes if not _is_constant(builder.env[source])]
    if lowering and all(_is_float(each.meta["val"]) for each in (node, *varying)):
        builder.shape = shape_of(node) if gives_tensor(node) else ()
        try:
            return lowering(builder, *args, **kwargs)
        except NotOnMaps:
            pass
    builder.waiting[node] = None
    return Pending(node)


def _is_constant(given: Any) -> bool:
    return not isinstance(given, (Laid, Pending, list, tuple))


def _is_float(value: Any) -> bool:
    """Whether a traced operation gives float32 numbers, which is all that maps hold."""
    found = value[0] if isinstance(value, (list, tuple)) else value
    return isinstance(found, torch.Tensor) and found.dtype == torch.float32
