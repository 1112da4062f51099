"""What a process of its own takes to make a network ready. Prints the seconds as JSON.

It imports nothing before it must, so that each part shows its own cost.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter
from typing import cast


def main(name: str, dtype: str, block: int, size: tuple[int, int]) -> dict[str, float]:
    """The seconds of each part, in the order in which they are spent."""
    clock = _Parts()
    import torch

    clock.note("import torch")
    from streamdyn.bench.networks import make_network

    module = make_network(name)
    clock.note("the model's library and the model")
    from streamdyn.engine.cpu.rows import RowType
    from streamdyn.engine.sparsify import sparsify

    clock.note("import streamdyn.engine")
    network = sparsify(module, size, block=block, dtype=cast(RowType, dtype))
    clock.note("sparsify")
    cache = network.new_cache()
    clock.note("new_cache")
    network(torch.zeros(1, 3, *size), network.grid.all(), cache)
    clock.note("first frame")
    network.new_cache()
    clock.note("second new_cache")
    return clock.seconds


class _Parts:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def note(self, part: str) -> None:
        now = perf_counter()
        self.seconds[part] = now - self._last
        self._last = now


if __name__ == "__main__":
    name, dtype, block, height, width = sys.argv[1:]
    print(json.dumps(main(name, dtype, int(block), (int(height), int(width)))))
