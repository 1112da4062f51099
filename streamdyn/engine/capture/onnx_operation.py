"""A node of an ONNX file, and the ways in which it says what it wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamdyn.errors import ModelError

Value = Tensor | NDArray[Any] | None  # arrays do not depend on the image


@dataclass(frozen=True, slots=True)
class Operation:
    """A node, without its inputs."""

    kind: str
    name: str
    attributes: Mapping[str, Any]
    opset: int
    outputs: int

    def get(self, attribute: str, default: Any = None) -> Any:
        return self.attributes.get(attribute, default)

    def refuse(self, what: str) -> ModelError:
        return ModelError(
            f"the network cannot be captured: node {self.name} ({self.kind}) has {what}, which "
            f"streamdyn does not know"
        )


def tensor(value: Value) -> Tensor:
    """A value as a tensor."""
    if isinstance(value, Tensor):
        return value
    return torch.from_numpy(np.array(value))


def operand(value: Value) -> Tensor | float:
    """A value as a tensor, or as a number if it is one: numbers fit any shape and any kind."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.ndim <= 1:
        number: float = value.item()
        return number
    return tensor(value)


def numbers(operation: Operation, value: Value) -> list[int]:
    """A value that must not depend on the image, as whole numbers."""
    if isinstance(value, Tensor):
        raise operation.refuse("shapes or indices that depend on the image")
    return [int(number) for number in np.asarray(value).ravel()]


def setting(operation: Operation, attribute: str, value: Value) -> list[int] | None:
    """What newer files give as an input, and older ones as an attribute; None: neither does."""
    if value is not None:
        return numbers(operation, value)
    found = operation.get(attribute)
    return None if found is None else list(np.atleast_1d(found))
