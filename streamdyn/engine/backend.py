"""What computes the steps of a plan: one interface for every kind of device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine.cpu.rows import RowType
from streamdyn.engine.device.kernels import KernelChoice, choose_kernels, open_device
from streamdyn.engine.device.network import OnDevice
from streamdyn.engine.device.tolerance import ToleranceOnDevice
from streamdyn.engine.native import Native
from streamdyn.engine.plan import Plan


class StreamCache(Protocol):
    """What a network keeps of one stream."""

    filled: bool  # whether every block was computed once

    def outputs(self) -> list[Tensor]:
        """The tensors that the model returns. They belong to the cache."""


class Backend(Protocol):
    """Computes a plan on a device. It serves one call at a time."""

    @property
    def device(self) -> torch.device:
        """Where images are taken and outputs given."""

    @property
    def cache_bytes(self) -> int:
        """Memory of one stream."""

    def new_cache(self) -> Any:
        """A `StreamCache` of its own kind. The first makes the kernels ready."""

    def owns(self, cache: object) -> bool:
        """Whether this backend made a cache."""

    def run(self, requests: Sequence[tuple[Tensor, BlockMask, Any]]) -> None:
        """Compute the masked blocks of images, each with its cache; leave the results there."""

    def parts(self, mask: BlockMask) -> Mapping[int, float]:
        """The fraction of its pixels that a mask makes compute at most, for each map."""


def make_backend(
    plan: Plan, grid: BlockGrid, dtype: RowType, propagation: Literal["copy"] | float,
    device: str | torch.device, kernels: KernelChoice,
) -> Backend:  # fmt: skip
    """The backend for a device.

    Raises:
        ValueError: the device is not there, or cannot compute in this dtype or by these kernels.
    """
    if str(device) == "cpu" and kernels == "auto":
        return Native(plan, grid, dtype, propagation)
    number = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    there = open_device(device, number)
    like, chosen = torch.zeros((), device=there, dtype=number), choose_kernels(kernels, there)
    if isinstance(propagation, str):
        return OnDevice(plan, grid, chosen, like)
    if propagation == 0:
        return OnDevice(plan, None, chosen, like)
    return ToleranceOnDevice(plan, propagation, chosen, like)
