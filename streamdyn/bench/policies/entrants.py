"""Who takes part: trivial policies as the bar, and each policy at several of its thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from streamdyn.load import load_policy
from streamdyn.policy import Policy
from streamdyn.quality import Quality

OCTAVES = (1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)  # of a threshold
INTERVAL = "Interval"

_EVERY = (1, 2, 3, 4, 6, 8, 12, 16, 24)  # frames
_DENSITIES = (0.05, 0.1, 0.2, 0.4, 0.7)
_BLOCKCOPY = "BlockCopy(target={})"
_BUDGET = "Budget(policy='Change(threshold=4, grow=1)', density={})"


@dataclass(frozen=True, slots=True)
class Entrant:
    """One setting of one policy."""

    family: str  # of settings of the same policy: one curve
    spec: str  # as for `--policy`
    factor: float = 1.0  # of the spec's threshold
    trivial: bool = False  # part of the bar that others have to reach
    warp: bool = False  # whether results of skipped frames are moved along

    @property
    def name(self) -> str:
        """What it is called among the outcomes."""
        return f"{self.spec}, warped" if self.warp else self.spec

    @property
    def quality(self) -> Quality | None:
        """What the stream is held at; None: at nothing."""
        return Quality(warp=True, guard=False) if self.warp else None

    def make(self) -> Policy:
        """The policy, at this setting.

        Raises:
            PolicyError: there is no such policy, or it does not take these arguments.
        """
        policy = load_policy(self.spec)
        if self.factor != 1:
            assert policy.threshold is not None, "only thresholds are swept"
            policy.threshold *= self.factor
        return policy


def trivial_entrants() -> list[Entrant]:
    """What needs no look at the picture: the bar."""
    intervals = [Entrant(INTERVAL, f"Interval(every={n})", trivial=True) for n in _EVERY]
    chances = [Entrant("Random", f"Random(density={d})", trivial=True) for d in _DENSITIES]
    return [*intervals, *chances, Entrant("First", "First", trivial=True)]


def entrants_of(specs: Iterable[str], octaves: Sequence[float] = OCTAVES) -> Iterator[Entrant]:
    """Each policy at several thresholds, around that of its spec; once where it has none.

    Raises:
        PolicyError: see `load_policy`.
    """
    for spec in specs:
        swept = bool(load_policy(spec).threshold)
        for factor in octaves if swept else (1.0,):
            yield Entrant(spec, spec, factor)


def default_entrants() -> list[Entrant]:
    """The policies that ship with streamdyn and can stand alone, and some that are combined."""
    specs = (
        "Change",
        "Change(grow=1)",
        "Change(grow=1) & Interval(every=2)",
        "AdaptiveChange",
        "AdaptiveChange(light=8)",
        "Motion(grow=1)",
        "Change(threshold=2) & Uncertainty() | Change(threshold=8)",
        "Features",
        "AdaptiveInterval",
        "Accumulate",
        "Switch",
    )
    return [
        *entrants_of(specs),
        *(Entrant("Interval, warped", f"Interval(every={n})", warp=True) for n in _EVERY[1:]),
        *_by_density("BlockCopy", _BLOCKCOPY),
        *_by_density("Budget", _BUDGET),
        *_by_density("Age", "Age(share={})"),
        Entrant("KeyFrames", "KeyFrames"),
    ]


def _by_density(family: str, spec: str) -> list[Entrant]:
    """What is set by a density, at some of them."""
    return [Entrant(family, spec.format(density)) for density in _DENSITIES[:-1]]
