"""What it brings to compute the blocks of many streams in one call, and what it could at most.

No call can do better than one stream with as many blocks, which shares all that streams do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle

import numpy as np

from streamdyn.bench.engine.subject import BENCH, Setting, Subject
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.masks import masks_of_density, random_masks
from streamdyn.engine.sparse import Request

DENSITY = 0.02
ASKED = Asked(2.0)
TOGETHER, APART = "in one run_many", "one by one"
ALONE = "of one stream with as many blocks"


def measure_streams(subject: Subject, setting: Setting) -> Iterator[Measurement]:
    """The throughput of streams of few blocks: in one call, one call each, and as one stream."""
    network, x = subject.network, subject.x
    caches = [network.new_cache() for _ in range(setting.streams)]
    for cache in caches:
        network(x, network.grid.all(), cache)
    masks = [
        masks_of_density(network.grid, DENSITY, setting.streams, seed=turn)
        for turn in range(setting.masks)
    ]

    def each(compute: Callable[[list[Request]], object]) -> Callable[[], object]:
        rounds = cycle([[(x, m, c) for m, c in zip(turn, caches, strict=True)] for turn in masks])
        return lambda: compute(next(rounds))

    blocks = int(np.count_nonzero(masks[0][0].active))
    as_many = min(setting.streams * blocks, masks[0][0].active.size)
    larger = cycle(random_masks(network.grid, [as_many] * setting.masks))
    contenders: dict[str, Callable[[], object]] = {
        TOGETHER: each(network.run_many),
        APART: each(lambda requests: [network(*request) for request in requests]),
        ALONE: lambda: network(x, next(larger), caches[0]),
    }
    frames = {TOGETHER: setting.streams, APART: setting.streams, ALONE: as_many / blocks}
    seconds = setting.race(contenders)
    rates = {name: [frames[name] / s for s in samples] for name, samples in seconds.items()}
    yield from _figures(subject, setting.streams, rates)


def _figures(
    subject: Subject, streams: int, rates: dict[str, list[float]]
) -> Iterator[Measurement]:
    """The throughputs; and that of one call, and the most that it could be, over one call each."""
    about = subject.about(density=DENSITY, streams=streams)
    case = f"{subject.case}, {streams} streams at {DENSITY:.0%}"
    for name, samples in rates.items():
        yield Measurement.of(BENCH, case, f"throughput {name}", "frames/s", samples, about=about)
    for name, asked in {TOGETHER: ASKED, ALONE: None}.items():
        ratios = [a / b for a, b in zip(rates[name], rates[APART], strict=True)]
        yield Measurement.of(
            BENCH, case, f"throughput {name}, against one by one", "x", ratios,
            asked=asked, about=about,
        )  # fmt: skip
