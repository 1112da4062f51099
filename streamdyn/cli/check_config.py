"""The outcome of checking the configuration of `streamdyn serve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamdyn.serve.check import Finding

_PARTS = ("source", "policy", "model", "save")


def check_config(path: Path) -> int:
    """Check a configuration and say what is wrong with it; return 1 if anything is.

    Raises:
        ConfigError: its form is wrong.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from streamdyn.serve.check import check, output_error
    from streamdyn.serve.config import Config

    config = Config.read(path)
    findings = check(config)
    table = Table("stream", *_PARTS, box=box.SIMPLE_HEAD, show_edge=False)
    for finding in findings:
        table.add_row(*(Text(cell) for cell in (finding.name, *_cells(finding))))
    if findings:
        Console().print(table)
    failures = [error for finding in findings for error in finding.wrong.values()]
    if wrong := output_error(config):
        failures.append(wrong)
    for failure in failures:
        print(f"FAIL  {failure}", file=sys.stderr)
    print(f"{path}: {len(findings)} streams, {len(failures)} failures")
    return 1 if failures else 0


def _cells(finding: Finding) -> list[str]:
    cells = ["FAIL" if part in finding.wrong else "ok" for part in _PARTS]
    if finding.info:
        height, width = finding.info.size
        cells[0] = f"{'live' if finding.info.live else 'file'}, {width}x{height} px"
    elif "source" not in finding.wrong:
        cells[0] = "not asked"
    return cells
