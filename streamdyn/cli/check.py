"""Check sources, a model and a policy, or what serve would run, without running them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from streamdyn.cli.arguments import (
    add_model_arguments,
    add_source_arguments,
    load_model,
    open_streams,
)
from streamdyn.defaults import POLICY
from streamdyn.errors import PolicyError, StreamdynError, redact

USUAL_SIZE = (512, 1024)  # of a picture, where no source says another
POLICY_SECONDS = 120.0  # that a policy may take for all checks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="as for run; or one CONFIG.yaml, of which all that serve would run is checked",
    )
    add_model_arguments(parser)
    parser.add_argument("--policy", default=POLICY, help="as for run (default: %(default)s)")
    add_source_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Check each part and say what is wrong with it; return 1 if anything is."""
    if len(options.sources) == 1 and options.sources[0].endswith((".yaml", ".yml")):
        from streamdyn.cli.check_config import check_config

        return check_config(Path(options.sources[0]))
    sizes: list[tuple[int, int]] = []  # of the sources' pictures
    checks: dict[str, Callable[[], str]] = {
        f"source {redact(spec)}": partial(_check_source, spec, options, sizes)
        for spec in options.sources
    }
    checks[f"model {options.model}"] = partial(_check_model, options, sizes)
    checks[f"policy {options.policy}"] = partial(_check_policy, options.policy)
    failures = 0
    for what, check in checks.items():
        try:
            print(f"ok    {what}: {check()}")
        except StreamdynError as error:
            failures += 1
            print(f"FAIL  {what}: {error}", file=sys.stderr)
    return 1 if failures else 0


def _check_source(spec: str, options: argparse.Namespace, sizes: list[tuple[int, int]]) -> str:
    from streamdyn.cli.console import describe

    infos = [stream.info() for stream in open_streams([spec], options)]
    sizes += [info.size for info in infos]
    told = [describe(info) for info in infos]
    return told[0] if len(told) == 1 else f"{len(told)} streams\n      " + "\n      ".join(told)


def _check_model(options: argparse.Namespace, sizes: list[tuple[int, int]]) -> str:
    """Try the model on a black picture of each size that the sources have."""
    model = load_model(options)
    for size in set(sizes) or {USUAL_SIZE}:
        described = model.describe(size)
    return f"{model.task}, {len(model.classes)} classes, {described.macs / 1e6:,.0f} M MACs a frame"


def _check_policy(spec: str) -> str:
    from streamdyn.load import load_policy
    from streamdyn.testing import check_policy
    from streamdyn.watch import HungError, Watched

    policy = load_policy(spec)
    check = partial(check_policy, lambda: load_policy(spec))
    try:
        failures = Watched("check")(POLICY_SECONDS, check)
    except HungError as error:
        raise PolicyError(f"it hangs: its checks {error}") from None
    if failures:
        raise PolicyError("it breaks the contract: " + "; ".join(failures))
    return "keeps the contract" + (", takes a target of agreement" if policy.threshold else "")
