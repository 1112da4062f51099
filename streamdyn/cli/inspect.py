"""Show what a model is: size, cost, input, outputs and labels."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from streamdyn.cli.arguments import add_model_arguments, load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser, positional=True)
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    # A model that takes any size is shown at --size, or at a size common in road scenes.
    model = load_model(options)
    described = model.describe(None if model.card.input.size != "source" else (512, 1024))
    if options.json:
        print(json.dumps(asdict(described), indent=1))
        return 0
    channels, height, width = described.input[1:]
    facts = {
        "model": described.name,
        "task": described.task,
        "labels": _shorten(described.labels),
        "parameters": f"{described.parameters:,}",
        "input": f"{channels} channels, {height}x{width} px",
        "blocks": f"{described.blocks[0]}x{described.blocks[1]} of {model.block} px",
        "cost": f"{described.macs / 1e6:,.1f} M multiply-accumulates for a whole frame",
        "outputs": ", ".join(f"{name} {shape}" for name, shape in described.outputs.items()),
    }
    for name, value in facts.items():
        print(f"{name:<11} {value}")
    return 0


def _shorten(labels: tuple[str, ...], most: int = 8) -> str:
    rest = len(labels) - most
    return ", ".join(labels[:most]) + (f" and {rest} more" if rest > 0 else "")
