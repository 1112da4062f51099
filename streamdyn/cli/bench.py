"""Measure what this project claims, on this machine."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

# Each benchmark and what it measures; its module in streamdyn.bench is imported when it runs.
BENCHMARKS = {
    "engine": "computing blocks against the fastest dense peer installed",
    "pipeline": "the cost of the pipeline around a model",
    "policies": "agreement over cost of each policy, against trivial ones",
    "streams": "many streams on a cluster: throughput, age of results, and what breaks",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    told = "; ".join(f"{name}: {what}" for name, what in BENCHMARKS.items())
    parser.add_argument("bench", choices=BENCHMARKS, metavar="BENCH", help=told)
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="see BENCH --help")


def run(options: argparse.Namespace) -> int:
    from streamdyn.bench.report import print_table, write_json

    module = importlib.import_module(f"streamdyn.bench.{options.bench}")
    parser = argparse.ArgumentParser(f"streamdyn bench {options.bench}", description=module.__doc__)
    module.add_arguments(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    chosen = parser.parse_args(options.rest)
    measurements = module.run(chosen)
    getattr(module, "show", print_table)(measurements)
    if chosen.json:
        write_json(measurements, chosen.json)
    return 0
