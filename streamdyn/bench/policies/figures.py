"""From outcomes to figures: each policy against the trivial ones, and against what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.policies.front import Front
from streamdyn.bench.policies.scores import COSTS, Cost, Scores, cost_of
from streamdyn.bench.policies.trial import Outcome

BENCH = "policies"
POINT = "agreement"  # the metric of a single outcome; what else it came to stands in its `about`

About = Mapping[str, str | float]

_LEVELS = (0.90, 0.95, 0.97, 0.98)  # of agreement, at which costs are compared
_BAR = Asked(1.0, at_most=True)  # of the cost of the trivial policies
_INTERVAL_LEVEL, _INTERVAL_BAR = 0.97, Asked(0.5, at_most=True)  # where the camera is fixed
_SHARE = 0.2  # of the work, at which results are compared with the truth
_LOST_POINTS = Asked(1.0, at_most=True)
_SPEEDUP = Asked(0.8)  # of 1 / share
_MISSED = 0.02  # agreement, by which a target may be missed
_TARGET_COST = Asked(1.0, at_most=True)


def figures(scores: Scores) -> Iterator[Measurement]:
    """Every outcome, and what the best policies cost against the trivial ones."""
    yield from _points(scores)
    for cost in COSTS:
        yield from _costs(scores, cost)
    yield from _truth(scores)


def target_figures(trial: str, target: float, spec: str, outcome: Outcome) -> Iterator[Measurement]:
    """What a target of agreement came to."""
    about = {"policy": spec, "target": target, **_told(outcome)}
    what, asked = f"target {target:g}, {spec}", Asked(round(target - _MISSED, 6))
    yield _figure(trial, what, "agreement reached", outcome.agreement, about, asked)
    yield _figure(trial, what, "share of dense", outcome.share, about, _TARGET_COST)
    yield _figure(trial, what, "time of dense", outcome.time, about, _TARGET_COST)


def _points(scores: Scores) -> Iterator[Measurement]:
    trivial: dict[Cost, Front] = {cost: scores.trivial(cost) for cost in COSTS}
    for entrant, outcome in scores.outcomes:
        about: dict[str, str | float] = {"policy": entrant.family, "spec": entrant.name}
        about |= _told(outcome)
        threshold = entrant.make().threshold
        if threshold is not None:
            about["threshold"] = threshold
        for cost, front in trivial.items():
            bar = front.quality(cost_of(outcome, cost))
            about[f"above_trivial_by_{cost}"] = outcome.agreement - bar
        yield _figure(scores.trial, entrant.name, POINT, outcome.agreement, about)


def _costs(scores: Scores, cost: Cost) -> Iterator[Measurement]:
    """What the best policy costs at some agreements. Where none is as good, all is computed."""
    trivial, interval = scores.trivial(cost), scores.interval(cost)
    curves = {family: scores.curve(family, cost) for family in scores.families}
    for level in _LEVELS if curves else ():
        spent = {family: curve.cost(level) for family, curve in curves.items()} | {"All": 1.0}
        best = min(spent, key=spent.__getitem__)
        what = f"agreement {level:g}, {best}"
        about: About = {"policy": best, "agreement": level}
        yield _figure(scores.trial, what, f"{cost} of dense", spent[best], about)
        ratio = spent[best] / trivial.cost(level)
        yield _figure(scores.trial, what, f"{cost} of trivial front", ratio, about, _BAR)
        if level == _INTERVAL_LEVEL:
            asked = _INTERVAL_BAR if scores.fixed else None
            ratio = spent[best] / interval.cost(level)
            yield _figure(scores.trial, what, f"{cost} of Interval", ratio, about, asked)


def _truth(scores: Scores) -> Iterator[Measurement]:
    """What is lost of the mean IoU with the truth, where agreement is best at a share of the work.

    Chosen by agreement: the best of many mean IoUs would be best by chance as well.
    """
    within = [
        (entrant, outcome)
        for entrant, outcome in scores.outcomes
        if not entrant.trivial and outcome.share <= _SHARE
    ]
    if scores.dense_miou is None or not within:
        return
    entrant, outcome = max(within, key=lambda each: each[1].agreement)
    about = {"policy": entrant.family, "spec": entrant.name, **_told(outcome)}
    what = f"{_SHARE:.0%} of the work, {entrant.family}"
    assert outcome.miou is not None, "it is known of all outcomes or of none"
    lost = 100 * (scores.dense_miou - outcome.miou)
    yield _figure(scores.trial, what, "points of mIoU lost", lost, about, _LOST_POINTS)
    speedup = outcome.share / outcome.time
    yield _figure(scores.trial, what, "speed-up, of 1 / share", speedup, about, _SPEEDUP)


def _told(outcome: Outcome) -> dict[str, str | float]:
    told = {name: getattr(outcome, name) for name in Outcome.__slots__}
    return {name: value for name, value in told.items() if value is not None}


def _figure(
    trial: str, what: str, metric: str, value: float, about: About, asked: Asked | None = None
) -> Measurement:
    unit = "points" if "points" in metric else "ratio"
    about = {"trial": trial, **about}
    return Measurement.of(
        BENCH, f"{trial}: {what}", metric, unit, [value], asked=asked, about=about
    )
