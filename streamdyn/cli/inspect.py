"""Show what a model is: size, cost, input, outputs and labels."""

from __future__ import annotations

import argparse

from streamdyn.cli.arguments import add_model_arguments, load_model, parse_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser, positional=True)
    parser.add_argument(
        "--source-size",
        type=parse_size,
        default=(512, 1024),
        metavar="HxW",
        help="picture size to assume for a model that works at the source's own (512x1024)",
    )


def run(options: argparse.Namespace) -> int:
    model = load_model(options)
    facts = model.describe(options.source_size)
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    return 0
