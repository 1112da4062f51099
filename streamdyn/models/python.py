"""Models that Python code builds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from streamdyn.engine import Network
from streamdyn.engine.sparsify import capture_network
from streamdyn.engine.torch import DenseTorch
from streamdyn.errors import ModelError
from streamdyn.load import Spec
from streamdyn.models.card import ModelCard
from streamdyn.models.request import Request
from streamdyn.models.resolve import resolve
from streamdyn.models.template import missing_card
from streamdyn.models.vision import VisionModel

log = logging.getLogger(__name__)


def load(target: str, request: Request) -> VisionModel:
    """The model that a callable returns: `module:name` or `./file.py:name(key=value)`.

    The card is the one given or, for `file.py`, `file.toml` beside it.

    Raises:
        ModelError: there is no such callable, it fails, or the card cannot be used.
    """
    make = find(target)
    module, _, name = target.partition("(")[0].rpartition(":")
    file = Path(module) if module.endswith(".py") else None
    card = request.read_card(beside=file)
    if card is None:
        raise ModelError(missing_card(f"model {target!r}", file.stem if file else name))
    return finish(make(), card, request)


def finish(
    module: torch.nn.Module,
    card: ModelCard,
    request: Request,
    outputs: tuple[str, ...] | None = None,
) -> VisionModel:
    """The model of a module and a card.

    Args:
        outputs: which to read, in order, where the card does not say.
    """
    tensors = card.output.tensors or outputs

    def network(size: tuple[int, int]) -> Network:
        try:
            graph = capture_network(module, size)
        except ModelError as error:
            log.warning("%s runs dense, whatever the mask: %s", card.name, error)
            return DenseTorch(
                module, size, outputs=tensors, threads=request.threads, device=request.device
            )
        parameters = sum(parameter.numel() for parameter in module.parameters())
        return request.on_blocks(graph, parameters=parameters, outputs=tensors)

    return request.finish(card, network)


def find(target: str) -> Callable[[], torch.nn.Module]:
    """What makes the network, `module:name` or `./file.py:name(key=value)`, ready to be called.

    Raises:
        ModelError: there is no such callable; or, when called, it fails or gives no module.
    """
    try:
        spec = Spec.parse(target)
        make = resolve(spec.module, spec.name)
    except ValueError as error:
        raise ModelError(f"model {target!r}: {error}") from error
    return partial(_call, make, spec.arguments, target)


def _call(make: Any, arguments: dict[str, Any], target: str) -> torch.nn.Module:
    try:
        module = make if isinstance(make, torch.nn.Module) else make(**arguments)
    except Exception as error:  # whatever the user's code does
        raise ModelError(f"model {target!r} fails: {type(error).__name__}: {error}") from error
    if not isinstance(module, torch.nn.Module):
        raise ModelError(
            f"model {target!r} gives {type(module).__name__}; it must give a torch.nn.Module"
        )
    return module
