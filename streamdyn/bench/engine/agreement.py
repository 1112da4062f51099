"""How far outputs are from what they are to be: those of the peers, and ours, whole and on blocks.

On blocks it is another image that is computed, a part at a time, and so unlike the first that a
network which left its blocks as they were would be far off; how far is told as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from streamdyn.bench.engine.subject import BENCH, Subject
from streamdyn.bench.engine.twin import Twin
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.peers import numbers
from streamdyn.blocks import BlockGrid, BlockMask

PARTS = 10
PLAIN = "torch eager bf16"  # the dense computation in bfloat16 that is tuned least
ROUNDING = 1.5  # an output is one draw of it: equally good ones differ by as much

Floats = NDArray[np.float32]


def measure_agreement(subject: Subject) -> Iterator[Measurement]:
    """The relative error of each contender against torch in float32."""
    peers = {name: [_error(numbers(run()), subject.truth)] for name, run in subject.peers.items()}
    whole = _error(_compute(subject, subject.x), subject.truth)
    parts, idle = _in_parts(subject)
    ours = {"all blocks": [whole], f"{PARTS} parts of another image": parts}
    asked, bound = _asked(subject, peers)
    case = f"{subject.case}, error against torch in float32{bound}"
    for name, errors in (peers | ours | {"the parts, had nothing been computed": idle}).items():
        yield Measurement.of(
            BENCH, case, name, "relative", errors,
            asked=asked if name in ours else None, about=subject.about(contender=name),
        )  # fmt: skip


def _compute(subject: Subject, x: Tensor) -> Floats:
    network = subject.network
    found = network.tensors(x, network.grid.all(), network.new_cache())
    return numbers(next(iter(found.values())))


def _in_parts(subject: Subject) -> tuple[list[float], list[float]]:
    """After each part of another image: our error, and that of the output before the first."""
    network, cache = subject.network, subject.network.new_cache()
    twin, other = Twin(network.plan.graph), subject.x / 4 + 1
    network.tensors(subject.x, network.grid.all(), cache)
    before = numbers(twin(subject.x, network.grid.all())[0])
    errors, idle = list[float](), list[float]()
    for mask in _parts(network.grid):
        promised = numbers(twin(other, mask)[0])
        found = next(iter(network.tensors(other, mask, cache).values()))
        errors.append(_error(numbers(found), promised))
        idle.append(_error(before, promised))
    return errors, idle


def _parts(grid: BlockGrid) -> list[BlockMask]:
    """Masks of random blocks that together are all of them, each of them once."""
    order = np.random.default_rng(0).permutation(grid.all().active.size).reshape(grid.shape)
    return [BlockMask(grid, order % PARTS == part) for part in range(min(PARTS, order.size))]


def _asked(subject: Subject, peers: Mapping[str, list[float]]) -> tuple[Asked | None, str]:
    """The bound of ours, and what it is, in words."""
    if subject.dtype == "float32":
        return Asked(1e-4, at_most=True), ""
    if PLAIN not in peers:
        return None, ""
    return Asked(ROUNDING * peers[PLAIN][0], at_most=True), f" (asked: {ROUNDING}x that of {PLAIN})"


def _error(output: Floats, truth: Floats) -> float:
    """How far an output is from the truth, as a fraction of it."""
    exact = truth.astype(np.float64)  # squares of what a deep random network gives vanish in less
    return float(np.linalg.norm(output - exact) / np.linalg.norm(exact))
