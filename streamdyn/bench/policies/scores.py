"""All outcomes on one clip with one model, as curves of agreement over cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from streamdyn.bench.policies.entrants import INTERVAL, Entrant
from streamdyn.bench.policies.front import Front
from streamdyn.bench.policies.trial import Outcome

Cost = Literal["share", "time"]
COSTS: tuple[Cost, ...] = get_args(Cost)


@dataclass(frozen=True, slots=True)
class Scores:
    """Each setting of each policy, and what it came to; trivial ones among them."""

    trial: str  # name of the clip and the model
    outcomes: Sequence[tuple[Entrant, Outcome]]
    dense_miou: float | None = None
    fixed: bool = False  # whether the camera is known not to move

    @property
    def families(self) -> list[str]:
        """The policies that are compared with the trivial ones."""
        return list(dict.fromkeys(e.family for e, _ in self.outcomes if not e.trivial))

    def points(self, family: str, cost: Cost) -> list[tuple[float, float]]:
        """Cost and agreement of each setting of one of the families."""
        return [_point(o, cost) for e, o in self.outcomes if e.family == family and not e.trivial]

    def curve(self, family: str, cost: Cost) -> Front:
        """What one of the families reaches at which cost."""
        return Front(self.points(family, cost))

    def interval(self, cost: Cost) -> Front:
        """What is reached by whole frames at regular intervals."""
        return self._front(
            (o for e, o in self.outcomes if e.trivial and e.family == INTERVAL), cost
        )

    def trivial(self, cost: Cost) -> Front:
        """What is reached without a look at the picture."""
        return self._front((o for e, o in self.outcomes if e.trivial), cost)

    def best(self, cost: Cost) -> Front:
        """What is reached by whichever policy is best, the trivial ones left out."""
        return self._front((o for e, o in self.outcomes if not e.trivial), cost)

    @staticmethod
    def _front(outcomes: Iterable[Outcome], cost: Cost) -> Front:
        return Front(_point(outcome, cost) for outcome in outcomes)


def cost_of(outcome: Outcome, cost: Cost) -> float:
    """One of the costs of an outcome, over that of the dense model."""
    return outcome.share if cost == "share" else outcome.time


def _point(outcome: Outcome, cost: Cost) -> tuple[float, float]:
    return cost_of(outcome, cost), outcome.agreement
