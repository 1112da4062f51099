"""Dense torch modules, run eagerly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from streamdyn.engine.dense import Dense
from streamdyn.errors import ModelError


class DenseTorch(Dense):
    """A module of one image input that returns tensors, or tuples, lists and mappings of them.

    The outputs are named by their keys, joined by dots ("logits", "aux.0"); a lone tensor is
    called "output". The module is frozen: evaluation mode, no gradients, weights channels-last.

    Args:
        outputs: the names of the outputs to return, in order; None: all of them.
        threads: of the whole process, as torch knows no others; None: leave them as they are.
        device: where to compute; the module is moved there.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        size: tuple[int, int],
        *,
        outputs: tuple[str, ...] | None = None,
        threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        super().__init__(size)
        if threads:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        self._module = module.to(self._device).eval().requires_grad_(False)
        self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub
        self._names = outputs

    def _run(self, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        with torch.inference_mode():
            # A copy in another order: an output that is the input itself cannot reach the caller's.
            image = torch.from_numpy(x).clone(memory_format=torch.channels_last)
            found = dict(_named(self._module(image.to(self._device))))
            return {
                name: value.float().cpu().contiguous().numpy()
                for name, value in self._chosen(found)
            }

    def _chosen(self, found: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
        for name in self._names or found:
            if name not in found:
                raise ModelError(f"the network has no output {name!r}; it has {', '.join(found)}")
            yield name, found[name]

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions and matrix products; runs the network once."""
        with FlopCounterMode(display=False) as counter:
            self._compute(np.zeros((1, 3, *self.size), np.float32))
        return int(counter.get_total_flops()) // 2

    @cached_property
    def parameters(self) -> int:
        """Weights and biases, counted."""
        return sum(parameter.numel() for parameter in self._module.parameters())


def _named(output: Any, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Flatten what a module returned, ModelOutput of transformers included (it is a mapping)."""
    if isinstance(output, torch.Tensor):
        yield prefix or "output", output
    elif isinstance(output, Mapping):
        for key, value in output.items():
            yield from _named(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(output, (tuple, list)):
        yield from _named(dict(enumerate(output)), prefix)
