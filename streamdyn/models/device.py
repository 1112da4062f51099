"""Devices by name: is there such a one?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from streamdyn.engine.device.kernels import open_device
from streamdyn.errors import ModelError

if TYPE_CHECKING:
    from streamdyn.engine.cpu.rows import RowType


def require_device(name: str, dtype: RowType) -> None:
    """Raise ModelError for a device that is not there, or cannot compute in this dtype."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f"there is no device {name!r}; give cpu, cuda or cuda:NUMBER") from None
    if device.type == "cuda":
        _require_cuda(name, device.index or 0)
    try:
        open_device(device, getattr(torch, dtype))
        torch.ones(1, device=device).tolist()  # some devices only pretend
    except (ValueError, NotImplementedError) as error:
        reason = str(error).partition(". ")[0]
        raise ModelError(f"device {name} cannot be used: {reason}; leave it out for cpu") from None


def _require_cuda(name: str, number: int) -> None:
    count = torch.cuda.device_count()
    if torch.version.cuda is None:
        raise ModelError(
            f"there is no device {name} here: torch {torch.__version__} is built without CUDA; "
            f"install one that is built with it, or leave the device out for cpu"
        )
    if not 0 <= number < count:
        known = ", ".join(f"cuda:{each}" for each in range(count))
        raise ModelError(
            f"there is no device {name} here; "
            + (f"there are {known}" if count else "no GPU is found; leave it out for cpu")
        )
