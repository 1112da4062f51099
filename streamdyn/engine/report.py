"""What runs on blocks and what does not, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One step of a network."""

    layer: str  # as the model calls it
    operation: str
    shape: tuple[int, ...]  # of its output
    macs: int  # multiply-accumulates, computed whole
    dense: str = ""  # why it runs whole for any mask; empty if it runs on blocks


def best_speedup(layers: Sequence[LayerReport], density: float) -> float:
    """How much faster than whole a mask of some density can be: by multiply-accumulates alone."""
    total = sum(layer.macs for layer in layers)
    whole = sum(layer.macs for layer in layers if layer.dense)
    computed = whole + density * (total - whole)
    return total / computed if computed else 1.0
