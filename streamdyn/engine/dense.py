"""What dense networks share: any mask but the empty one computes the whole input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockMask
from streamdyn.engine.report import LayerReport
from streamdyn.errors import ModelError


@dataclass(slots=True)
class DenseCache:
    """The outputs last computed for one stream."""

    outputs: tuple[NDArray[np.float32], ...] | None = None


class Dense(ABC):
    """A network that another library runs, whole or not at all. See `Network`."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size  # (height, width) of the input

    def new_cache(self) -> DenseCache:
        """What the network keeps of one stream."""
        return DenseCache()

    def __call__(
        self, x: NDArray[np.float32], mask: BlockMask, cache: DenseCache
    ) -> tuple[NDArray[np.float32], ...]:
        """Compute `x` (1, 3, H, W) whole; an empty mask gives the last outputs."""
        if (mask.grid.height, mask.grid.width) != self.size:
            raise ValueError(f"a mask of {mask.grid} on a network for {self.size} pixels")
        if mask:
            if x.shape != (1, 3, *self.size) or x.dtype != np.float32:
                raise ValueError(
                    f"the network takes float32 {(1, 3, *self.size)}, got {x.dtype} {x.shape}"
                )
            cache.outputs = tuple(self._compute(x).values())
        if cache.outputs is None:
            raise ValueError("a new cache holds nothing to reuse; compute all blocks first")
        return cache.outputs

    def run_many(
        self, requests: Sequence[tuple[NDArray[np.float32], BlockMask, DenseCache]]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Compute the inputs of several streams, one after the other."""
        return [self(x, mask, cache) for x, mask, cache in requests]

    def share(self, mask: BlockMask) -> float:
        """Fraction of the multiply-accumulates that computing `mask` costs: none, or all."""
        return 1.0 if mask else 0.0

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-accumulates of one input."""

    def report(self) -> list[LayerReport]:
        """The network as one layer that runs whole."""
        shape = next(iter(self.outputs.values()))
        why = "the network could not be captured"
        return [LayerReport("", "whole network", shape, self.macs, why)]

    @cached_property
    def outputs(self) -> Mapping[str, tuple[int, ...]]:
        """Name and shape of each output, in order; the first call runs the network once."""
        found = self._compute(np.zeros((1, 3, *self.size), np.float32))
        return {name: value.shape for name, value in found.items()}

    def _compute(self, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        try:
            return self._run(x)
        except ModelError:
            raise
        except Exception as error:  # each library raises its own kinds
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelError(
                f"the network fails on an input of {self.size[0]}x{self.size[1]} px: {reason[0]}"
            ) from error

    @abstractmethod
    def _run(self, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Name and value of each output; the values are new arrays."""
