"""Show what a model is: size, cost, input, outputs, labels, and which layers run on blocks."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from streamdyn.cli.arguments import add_model_arguments, load_model

if TYPE_CHECKING:
    from streamdyn.engine.report import LayerReport


DENSITIES = (0.5, 0.25, 0.1, 0.05)


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
    _print_layers(described.layers)
    return 0


def _print_layers(layers: tuple[LayerReport, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    from streamdyn.engine.report import best_speedup

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("layer", "operation", "output", "runs"):
        table.add_column(column, overflow="fold")
    table.add_column("M MACs", justify="right")
    for layer in layers:
        shape = "x".join(map(str, layer.shape))
        runs = f"dense: {layer.dense}" if layer.dense else "on blocks"
        cost = f"{layer.macs / 1e6:.1f}" if layer.macs else ""
        table.add_row(layer.layer, layer.operation, shape, runs, cost)
    console = Console()
    console.print()
    console.print(table)
    best = ", ".join(
        f"{best_speedup(layers, density):.1f}x at {density:.0%}" for density in DENSITIES
    )
    console.print(f"\nBest possible speed-up by density of the mask: {best}.", highlight=False)


def _shorten(labels: tuple[str, ...], most: int = 8) -> str:
    rest = len(labels) - most
    return ", ".join(labels[:most]) + (f" and {rest} more" if rest > 0 else "")
