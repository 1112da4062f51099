"""Which pixels of which map are computed for the blocks asked for: one rule, three settings.

Every map keeps the values that its readers last saw. Given the changed region of its inputs, a
step computes the outputs that the region reaches, and passes on those that it changed.

copy        the region is not grown: every map is computed where the mask is
exact       the region grows by what each step reaches, and nothing is dropped: where the input is
            as it was, the outputs are those of the whole network
tolerance   as exact, but what differs from the kept value by no more than the tolerance is held
            back; it is compared with what was last passed on, so that slow drift adds up and passes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from streamdyn.blocks import BlockMask
from streamdyn.engine.cache import Cache

Request = tuple[Tensor, BlockMask, Cache]  # the image (1, 3, H, W), what to compute of it, a stream


class Propagation(Protocol):
    """Computes requests of several streams, each with its own cache."""

    def prepare(self, streams: int) -> None:
        """Make ready for calls of so many streams, so that the first one takes no longer."""

    def run(self, requests: Sequence[Request]) -> None:
        """Compute, and leave the results in the caches."""

    def parts(self, mask: BlockMask) -> Mapping[int, float]:
        """The fraction of its pixels that a mask makes compute at most, for each map."""
