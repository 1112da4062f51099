"""Networks on blocks: compute what a mask asks for, keep the rest from the frames before.

This package knows inputs, masks and tensors; it knows nothing of frames, cards or results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockMask
from streamdyn.engine.report import LayerReport


class Network(Protocol):
    """A network made for one input size. It serves any number of streams, each with its cache."""

    @property
    def outputs(self) -> Mapping[str, tuple[int, ...]]:
        """Name and shape of each tensor that a call returns, in order."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one input computed whole."""

    @property
    def parameters(self) -> int:
        """Weights and biases, counted."""

    def new_cache(self) -> Any:
        """What the network keeps of one stream."""

    def __call__(
        self, x: NDArray[np.float32], mask: BlockMask, cache: Any
    ) -> tuple[NDArray[np.float32], ...]:
        """Compute the masked blocks of `x` (1, 3, H, W); an empty mask gives the last outputs.

        The outputs belong to the cache and must not be changed. After a call that
        failed on its way the next must compute all blocks.

        Raises:
            ModelError: the network cannot compute this input.
            ValueError: `x` or `mask` is of another size, or the first mask of a cache is empty.
        """

    def run_many(
        self, requests: Sequence[tuple[NDArray[np.float32], BlockMask, Any]]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Do what calls with (x, mask, cache) would do, one for each; the caches differ.

        Raises:
            ModelError, ValueError: as a call does; then none of the caches can be relied on.
        """

    def share(self, mask: BlockMask) -> float:
        """Fraction of `macs` that computing `mask` costs, in [0, 1]."""

    def report(self) -> list[LayerReport]:
        """What each layer costs, and whether it runs on blocks."""
