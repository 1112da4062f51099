"""How fast random masks of some densities are, against the fastest peer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from statistics import median

from torch import Tensor

from streamdyn.bench.engine.subject import BENCH, Setting, Subject
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.masks import masks_of_density
from streamdyn.bench.plot import Panel
from streamdyn.blocks import BlockMask

DENSITIES = (1.0, 0.25, 0.1, 0.05, 0.02)
ASKED = {
    ("resnet50 448x768 bfloat16, blocks of 32", 1.0): Asked(0.95),
    ("resnet50 448x768 bfloat16, blocks of 32", 0.25): Asked(3.4),
    ("resnet50 448x768 bfloat16, blocks of 32", 0.1): Asked(8.0, goal=9.0),
    ("resnet50 448x768 bfloat16, blocks of 32", 0.05): Asked(13.0, goal=16.0),
    ("resnet18 448x768 bfloat16, blocks of 32", 0.1): Asked(8.0),
    ("mobilenetv2 448x768 bfloat16, blocks of 32", 0.1): Asked(3.0),
    ("fastestdet.onnx 704x704 float32, blocks of 32", 0.1): Asked(2.0),
}
OF_IDEAL = Asked(0.9)

Seconds = dict[str, list[float]]


@dataclass(frozen=True, slots=True, eq=False)
class Densities:
    """What was measured of one network."""

    subject: Subject
    seconds: Seconds  # per call, of each peer and each density
    fastest: str  # peer
    shares: dict[float, float]  # of the multiply-accumulates, by density

    @property
    def figures(self) -> list[Measurement]:
        """All of it, as figures."""
        found = [figure for peer in self.subject.peers for figure in self._of(peer)]
        for density in DENSITIES:
            found += [*self._of(_blocks(density)), *self._speedups(density)]
        return found

    def panel(self) -> Panel:
        """Its picture."""
        measured = [(d, median(self._over(self.fastest, d))) for d in DENSITIES]
        asked = [(d, bound.bound) for d in DENSITIES if (bound := self._asked(d))]
        return Panel(
            title=self.subject.case,
            base=self.fastest,
            ideal=[(density, 1 / share) for density, share in self.shares.items()],
            measured={"measured, random masks": measured},
            asked=asked,
        )

    def _over(self, base: str, density: float) -> list[float]:
        """The speed-up over another contender, in each round."""
        pairs = zip(self.seconds[base], self.seconds[_blocks(density)], strict=True)
        return [other / ours for other, ours in pairs]

    def _asked(self, density: float) -> Asked | None:
        """What is asked of the speed-up over the fastest peer: a missing one might be it."""
        return None if self.subject.missing else ASKED.get((self.subject.case, density))

    def _of(self, contender: str) -> Iterator[Measurement]:
        """The time of a contender."""
        case, about = f"{self.subject.case}, {contender}", self.subject.about(contender=contender)
        milliseconds = [1000 * s for s in self.seconds[contender]]
        yield Measurement.of(BENCH, case, "time", "ms", milliseconds, about=about)

    def _speedups(self, density: float) -> Iterator[Measurement]:
        """Over the fastest peer; and that, and the one over our own whole frame, of the ideal."""
        case, share = f"{self.subject.case}, {_blocks(density)}", self.shares[density]
        about = self.subject.about(density=density, share=share, peer=self.fastest)
        yield Measurement.of(
            BENCH, case, f"speed-up over {self.fastest}", "x", self._over(self.fastest, density),
            asked=self._asked(density), about=about,
        )  # fmt: skip
        of_peer = None if self.subject.missing else OF_IDEAL
        bounds = {self.fastest: of_peer, _blocks(1.0): OF_IDEAL}
        for base, asked in bounds.items() if density < 1 else ():
            yield Measurement.of(
                BENCH, case, f"speed-up over {base}, of the ideal 1 / share", "ratio",
                [share * speedup for speedup in self._over(base, density)],
                asked=asked, about=about | {"peer": base},
            )  # fmt: skip


def measure_densities(subject: Subject, setting: Setting) -> Densities:
    """Time random masks and the peers, in turns."""
    network, cache = subject.network, subject.network.new_cache()
    masks = {
        density: masks_of_density(network.grid, density, setting.masks) for density in DENSITIES
    }

    def compute(mask: BlockMask) -> Tensor:
        return next(iter(network.tensors(subject.x, mask, cache).values()))

    def on_blocks(density: float) -> Callable[[], object]:
        turns = cycle(masks[density])
        return lambda: compute(next(turns))

    compute(network.grid.all())
    contenders = subject.peers | {_blocks(density): on_blocks(density) for density in DENSITIES}
    seconds = setting.race(contenders)
    return Densities(
        subject=subject,
        seconds=seconds,
        fastest=min(subject.peers, key=lambda peer: median(seconds[peer])),
        shares={d: median(network.share(mask) for mask in masks[d]) for d in DENSITIES},
    )


def _blocks(density: float) -> str:
    return f"{density:.0%} of blocks"
