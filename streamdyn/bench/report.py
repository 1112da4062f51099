"""Figures for people and programs: a table and a JSON file, with the machine."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from itertools import groupby
from pathlib import Path

from streamdyn.bench.harness import Measurement

PAGE_WIDTH = 150
_PACKAGES = ("av", "numpy", "onnxruntime", "opencv-python", "openvino", "streamdyn", "torch")


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 0,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: version for name in _PACKAGES if (version := _version(name))},
    }


def machine_line() -> str:
    """The machine in one line."""
    return ", ".join(f"{key} {value}" for key, value in machine().items())


def write_json(measurements: Sequence[Measurement], path: Path) -> None:
    """Write a list of records, each with the machine it was measured on."""
    here = machine()
    records = [asdict(m) | {"machine": here} for m in measurements]
    path.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


def print_table(measurements: Sequence[Measurement]) -> None:
    """Show the medians with their spread, what was asked, and the machine."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("figure")
    for column in ("median", "min", "max"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("unit", "asked", "reached"):
        table.add_column(column, no_wrap=True)
    for case, figures in groupby(measurements, key=lambda m: m.case):
        table.add_row(Text(case, style="bold"))
        for m in figures:
            numbers = (f"{number:.4g}" for number in (m.value, min(m.samples), max(m.samples)))
            wish = (str(m.asked), "yes" if m.asked.met(m.value) else "NO") if m.asked else ()
            table.add_row(Text(f"  {m.metric}"), *numbers, m.unit, *wish)
    # What is not a terminal tells no width, and takes whole lines.
    console = Console(width=None if sys.stdout.isatty() else PAGE_WIDTH)
    console.print(table)
    console.print(machine_line(), style="dim")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
