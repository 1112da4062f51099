"""List the policies and their arguments, or write a template for one of your own."""

from __future__ import annotations

import argparse
import importlib
import inspect
from pathlib import Path

from streamdyn.errors import PolicyError

TEMPLATE = Path(__file__).with_name("policy_template.py")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--template",
        type=Path,
        metavar="FILE",
        help="write a file with two policies to start from, such as my_policy.py",
    )


def run(options: argparse.Namespace) -> int:
    if options.template:
        _write_template(options.template)
    else:
        _list()
    return 0


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    policies = importlib.import_module("streamdyn.policies")
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("policy", "arguments", "what it computes"):
        table.add_column(column, no_wrap=column == "policy")
    for name in policies.__all__:
        policy = getattr(policies, name)
        arguments = ", ".join(map(_argument, inspect.signature(policy).parameters.values()))
        table.add_row(name, arguments, (inspect.getdoc(policy) or "").splitlines()[0])
    console = Console()
    console.print(table)
    console.print(
        "\nYour own: --policy ./file.py:Class or module:Class, with (key=value) after it; "
        "`streamdyn policies --template my_policy.py` writes one to start from.",
        highlight=False,
    )


def _argument(parameter: inspect.Parameter) -> str:
    """An argument with its default, if it has one."""
    required = parameter.default is parameter.empty
    return parameter.name if required else f"{parameter.name}={parameter.default!r}"


def _write_template(path: Path) -> None:
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise PolicyError(f"a policy is a Python file, such as my_policy.py, not {path}")
    text = TEMPLATE.read_text(encoding="utf-8").replace("my_policy.py", path.name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PolicyError(f"{path} is there already; give another name") from None
    where = path if path.is_absolute() else f"./{path}"
    print(f"{path} has two policies, MyPolicy and MyFramePolicy. Next:")
    print(f"  streamdyn check --policy {where}:MyPolicy")
