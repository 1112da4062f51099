"""The backend of the CPU: compiled programs of kernels that find rows by their addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final, Literal

import torch

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine.cache import Cache
from streamdyn.engine.cpu.rows import RowType
from streamdyn.engine.plan import Plan
from streamdyn.engine.propagation import Propagation, Request
from streamdyn.engine.propagation.tolerance import Tolerance
from streamdyn.engine.propagation.whole import Copy, Exact
from streamdyn.engine.storage import Storage
from streamdyn.engine.weights import Weights


class Native:
    """See `Backend`."""

    device: Final = torch.device("cpu")

    def __init__(
        self, plan: Plan, grid: BlockGrid, dtype: RowType, propagation: Literal["copy"] | float
    ) -> None:
        self._plan = plan
        self._storage = Storage(plan, dtype)
        parts = plan, self._storage, Weights(plan, dtype), dtype
        self._propagation: Propagation
        if propagation == "copy":
            self._propagation = Copy(grid, *parts)
        elif propagation == 0:
            self._propagation = Exact(*parts)
        else:
            self._propagation = Tolerance(*parts, propagation)

    @property
    def cache_bytes(self) -> int:
        """Memory of one stream."""
        shapes = (self._plan.graph.shapes[value] for value in self._plan.graph.outputs)
        return self._storage.cache_bytes + sum(4 * prod(shape) for shape in shapes)

    def new_cache(self) -> Cache:
        """What the network keeps of one stream. The first makes the kernels ready."""
        self._propagation.prepare(1)
        return Cache(self._plan, self._storage)

    def owns(self, cache: object) -> bool:
        """Whether this backend made a cache."""
        return isinstance(cache, Cache) and cache.storage is self._storage

    def run(self, requests: Sequence[Request]) -> None:
        """Compute, and leave the results in the caches."""
        for _, mask, cache in requests:
            if mask.density == 1:
                cache.clear_sums()
        self._propagation.run([(x.contiguous(), mask, cache) for x, mask, cache in requests])

    def parts(self, mask: BlockMask) -> Mapping[int, float]:
        """The fraction of its pixels that a mask makes compute at most, for each map."""
        return self._propagation.parts(mask)
