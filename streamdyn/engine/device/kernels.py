"""What a device must be able to compute on rows, and which kernels do it where."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, Protocol

import torch
from torch import Tensor

from streamdyn.engine.graph import Activation, Affine, Binary

KernelChoice = Literal["auto", "torch", "triton"]


class Kernels(Protocol):
    """Rows are (n, channels), contiguous, one for each pixel to compute; results are new rows.

    An `index` (n, taps) says which rows of `x` make up each result; without one, rows of `x` and
    results go together. Numbers are added up in float32, whatever the rows hold.
    """

    def product(
        self, x: Tensor, index: Tensor | None, weight: Tensor, bias: Tensor,
        residual: Tensor | None, activation: Activation | None,
    ) -> Tensor:  # fmt: skip
        """Gathered rows times `weight` (groups, taps * inputs, outputs): a convolution."""

    def depthwise(
        self, x: Tensor, index: Tensor, weight: Tensor, bias: Tensor,
        residual: Tensor | None, activation: Activation | None,
    ) -> Tensor:  # fmt: skip
        """Gathered rows times `weight` (taps, channels), channel by channel."""

    def pointwise(
        self, op: Affine | Activation | Binary, x: Tensor, other: Tensor | None,
        activation: Activation | None,
    ) -> Tensor:  # fmt: skip
        """An operation number by number; `other` is the second input, (n, channels) or (n, 1)."""

    def put(self, rows: Tensor, index: Tensor, target: Tensor) -> None:
        """Copy rows to the rows `index` (n,) of `target`, in place."""


def choose_kernels(choice: KernelChoice, device: torch.device) -> Kernels:
    """The kernels for a device.

    Raises:
        ValueError: there are none of this choice.
    """
    from streamdyn.engine.device.plain import Plain

    if choice == "torch" or (choice == "auto" and not (_runs_triton(device) and _has_triton())):
        return Plain()
    if choice not in ("auto", "triton"):
        raise ValueError(f'kernels are "auto", "torch" or "triton", not {choice!r}')
    if not _has_triton():
        raise ValueError("kernels in Triton need it: pip install streamdyn[cuda]")
    from streamdyn.engine.device.triton import Triton, interpreted

    if not _runs_triton(device) and not interpreted():
        raise ValueError(
            f'kernels in Triton run on CUDA devices, not on {device}; try kernels="torch", or set '
            "TRITON_INTERPRET=1 to try them slowly on the CPU"
        )
    return Triton()


def open_device(device: str | torch.device, dtype: torch.dtype) -> torch.device:
    """A device, with its number, once it has shown that it can multiply numbers of `dtype`.

    Raises:
        ValueError: it is not there, or cannot.
    """
    try:
        there = torch.zeros(1, 1, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"no device {str(device)!r} here: {_first_line(error)}") from None
    try:
        torch.mm(*(torch.ones(1, 1, device=there, dtype=dtype) for _ in range(2)))
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise ValueError(f"{there} cannot compute in {dtype}: {_first_line(error)}") from None
    return there


def _runs_triton(device: torch.device) -> bool:
    return device.type == "cuda"


def _has_triton() -> bool:
    return find_spec("triton") is not None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
