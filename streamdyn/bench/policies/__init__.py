"""Policies against trivial ones at equal cost: agreement with the dense model over what it takes.

Without --source: synthetic streets with truth and, given the folders of STREAMDYN_MEDIA and
STREAMDYN_MODELS, a detector on real clips at two sizes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from streamdyn.bench.harness import Measurement
from streamdyn.bench.policies.entrants import (
    OCTAVES,
    Entrant,
    default_entrants,
    entrants_of,
    trivial_entrants,
)
from streamdyn.bench.policies.figures import figures, target_figures
from streamdyn.bench.policies.jobs import Job, default_jobs
from streamdyn.bench.policies.plot import draw_fronts
from streamdyn.bench.policies.scores import Scores
from streamdyn.bench.policies.show import show
from streamdyn.bench.policies.trial import Trial
from streamdyn.bench.report import machine_line
from streamdyn.load import load_policy
from streamdyn.parsing import argument, parse_fraction, parse_size
from streamdyn.quality import Quality

__all__ = ["add_arguments", "run", "show"]

_TARGETS = (0.90, 0.95, 0.98)
_TARGET_POLICY = "Change(threshold=6, grow=1)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", nargs="+", metavar="SOURCE", help="as for run")
    parser.add_argument("--model", default="street", help="as for run (default: %(default)s)")
    parser.add_argument("--card", type=Path, help="as for run")
    parser.add_argument(
        "--size",
        nargs="+",
        type=argument(parse_size),
        default=[None],
        metavar="HxW",
        help="as for run; or more",
    )
    parser.add_argument("--threads", type=int, help="as for run")
    parser.add_argument(
        "--policies",
        nargs="+",
        metavar="SPEC",
        help="as for run; each is tried at several of its thresholds, if it has one (default: "
        "those that ship with streamdyn)",
    )
    parser.add_argument(
        "--targets",
        nargs="*",
        type=argument(parse_fraction),
        default=_TARGETS,
        metavar="AGREEMENT",
        help="to hold --target-policy at (default: %(default)s)",
    )
    parser.add_argument(
        "--target-policy",
        default=_TARGET_POLICY,
        metavar="SPEC",
        help="whose threshold is moved (default: %(default)s)",
    )
    parser.add_argument("--start", type=float, default=0.0, help="seconds into each source")
    parser.add_argument(
        "--max-frames", type=int, default=250, help="of each source (default: %(default)s)"
    )
    parser.add_argument(
        "--crf",
        nargs="+",
        type=int,
        default=(),
        help="code synthetic sources as H.264, at each of these constant rate factors",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture (PNG)")
    parser.add_argument("--quick", action="store_true", help="few frames and settings: a trial run")


def run(options: argparse.Namespace) -> list[Measurement]:
    """Run each policy on each clip with each model."""
    entrants = _entrants(options)
    if options.targets:
        Quality(target=options.targets[0]).require_threshold(load_policy(options.target_policy))
    found: list[Measurement] = []
    scores: list[Scores] = []
    for job in _jobs(options):
        for trial in _trials(job, options):
            say(f"{trial.name}: {len(entrants)} settings, {len(trial.clip.kept)} frames")
            outcomes = [
                (entrant, trial.run(entrant.make(), entrant.quality)) for entrant in entrants
            ]
            scores.append(Scores(trial.name, outcomes, trial.dense_miou, job.fixed))
            found += [*figures(scores[-1]), *_hold(trial, options)]
    if options.plot:
        draw_fronts(scores, machine_line(), options.plot)
    return found


def say(text: str) -> None:
    """Tell the user how far it is."""
    print(text, file=sys.stderr)


def _entrants(options: argparse.Namespace) -> list[Entrant]:
    octaves = OCTAVES[::3] if options.quick else OCTAVES
    trivial = trivial_entrants()
    if options.policies:
        return [*trivial, *entrants_of(options.policies, octaves)]
    if options.quick:
        return [*trivial, *entrants_of([_TARGET_POLICY], octaves)]
    return [*trivial, *default_entrants()]


def _jobs(options: argparse.Namespace) -> list[Job]:
    if options.source:
        return [Job(options.source, options.model, options.size, options.card, crfs=options.crf)]
    media, models = (_folder(f"STREAMDYN_{what}") for what in ("MEDIA", "MODELS"))
    if not (media and models):
        say("without real clips: set STREAMDYN_MEDIA and STREAMDYN_MODELS to their folders")
    return default_jobs(media, models)


def _trials(job: Job, options: argparse.Namespace) -> Iterator[Trial]:
    frames = 30 if options.quick else options.max_frames
    models = list(job.models(options.threads))
    for clip in job.clips(start=options.start, max_frames=frames):
        for name, model in models:
            yield Trial(f"{clip.name}, {name}", clip, model)


def _hold(trial: Trial, options: argparse.Namespace) -> Iterator[Measurement]:
    """What holding a policy at each target comes to."""
    spec = options.target_policy
    for target in options.targets:
        outcome = trial.run(load_policy(spec), Quality(target=target))
        yield from target_figures(trial.name, target, spec, outcome)


def _folder(variable: str) -> Path | None:
    folder = os.environ.get(variable)
    return Path(folder) if folder else None
