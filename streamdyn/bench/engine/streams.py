"""What it brings to compute the blocks of many streams in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle

from streamdyn.bench.engine.subject import BENCH, Setting, Subject
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.masks import masks_of_density
from streamdyn.engine.sparse import Request

DENSITY = 0.02
ASKED = Asked(2.0)


def measure_streams(subject: Subject, setting: Setting) -> Iterator[Measurement]:
    """The throughput of streams of few blocks: in one call, and one call each."""
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

    together, apart = "in one run_many", "one by one"
    contenders = {
        together: each(network.run_many),
        apart: each(lambda requests: [network(*request) for request in requests]),
    }
    seconds = setting.race(contenders)
    about = subject.about(density=DENSITY, streams=setting.streams)
    case = f"{subject.case}, {setting.streams} streams at {DENSITY:.0%}"
    for name, samples in seconds.items():
        rates = [setting.streams / s for s in samples]
        yield Measurement.of(BENCH, case, f"throughput {name}", "frames/s", rates, about=about)
    ratios = [a / t for a, t in zip(seconds[apart], seconds[together], strict=True)]
    yield Measurement.of(
        BENCH, case, "throughput against one by one", "x", ratios,
        asked=ASKED, about=about,
    )  # fmt: skip
