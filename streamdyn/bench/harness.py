"""What every benchmark shares: fair timing, records, the machine, a table and a JSON file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from statistics import median
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure: the median of its samples."""

    bench: str
    case: str
    metric: str
    value: float
    unit: str
    samples: tuple[float, ...]

    @classmethod
    def of(
        cls, bench: str, case: str, metric: str, unit: str, samples: Sequence[float]
    ) -> Measurement:
        return cls(bench, case, metric, median(samples), unit, tuple(samples))


def interleave(
    contenders: dict[str, Callable[[], object]], rounds: int, warmup: int = 1
) -> dict[str, list[float]]:
    """Time each contender `rounds` times, taking turns: seconds per call, by name.

    A machine that slows down for a while slows all of them, so ratios within a round hold. The
    first calls of each are not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warmup + rounds):
        for name, call in contenders.items():
            start = perf_counter()
            call()
            if turn >= warmup:
                seconds[name].append(perf_counter() - start)
    return seconds


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    packages = ("av", "numpy", "onnxruntime", "opencv-python", "streamdyn", "torch")
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 0,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }


def write_json(measurements: Sequence[Measurement], path: Path) -> None:
    """Write a list of records, each with the machine it was measured on."""
    here = machine()
    records = [asdict(m) | {"machine": here} for m in measurements]
    path.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


def print_table(measurements: Sequence[Measurement]) -> None:
    """Show the medians with their spread, and the machine."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("case", "metric"):
        table.add_column(column)
    for column in ("median", "min", "max"):
        table.add_column(column, justify="right")
    table.add_column("unit")
    for m in measurements:
        figures = (m.value, min(m.samples), max(m.samples))
        table.add_row(m.case, m.metric, *(f"{figure:.4g}" for figure in figures), m.unit)
    console = Console()
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in machine().items()), style="dim")


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
