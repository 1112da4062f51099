"""List the policies and their arguments."""

from __future__ import annotations

import argparse
import importlib
import inspect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    policies = importlib.import_module("streamdyn.policies")
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("policy", "arguments", "what it computes"):
        table.add_column(column, no_wrap=column == "policy")
    for name in policies.__all__:
        policy = getattr(policies, name)
        arguments = ", ".join(
            f"{p.name}={p.default!r}" for p in inspect.signature(policy).parameters.values()
        )
        table.add_row(name, arguments, (inspect.getdoc(policy) or "").splitlines()[0])
    console = Console()
    console.print(table)
    console.print(
        "\nYour own: --policy ./file.py:Class or module:Class, with (key=value) after it.",
        highlight=False,
    )
    return 0
