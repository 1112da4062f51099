"""Imports only point down: a module may import the layers below its own, never a sibling."""

import ast
import subprocess
import sys
import tomllib
from importlib.util import resolve_name
from pathlib import Path

import pytest

import streamdyn

ROOT = Path(__file__).parents[1]
LAYERS = (
    {
        "streamdyn.backoff",
        "streamdyn.blocks",
        "streamdyn.defaults",
        "streamdyn.errors",
        "streamdyn.fit",
        "streamdyn.logs",
        "streamdyn.parsing",
        "streamdyn.types",
        "streamdyn.windows",
    },
    {
        "streamdyn.engine",
        "streamdyn.metrics",
        "streamdyn.overlay",
        "streamdyn.policy",
        "streamdyn.records",
        "streamdyn.sources",
        "streamdyn.status",
        "streamdyn.summary",
    },
    {"streamdyn.load", "streamdyn.postprocess", "streamdyn.quality", "streamdyn.watch"},
    {"streamdyn.models", "streamdyn.picture", "streamdyn.pipeline", "streamdyn.sinks"},
    {"streamdyn", "streamdyn.output", "streamdyn.progress", "streamdyn.specs", "streamdyn.testing"},
    {"streamdyn.policies", "streamdyn.pipelines"},
    {"streamdyn.run_status", "streamdyn.runner", "streamdyn.serve", "streamdyn.view"},
    {"streamdyn.cluster"},
    {"streamdyn.bench"},
    {"streamdyn.cli"},
    {"streamdyn.__main__"},
)
GROUND = 0  # the one layer whose modules may import each other
FILES = [p for top in ("streamdyn", "policies", "pipelines") for p in (ROOT / top).rglob("*.py")]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts if parts[0] == "streamdyn" else ("streamdyn", *parts))
    return name.removesuffix(".__init__")


MODULES = {module_of(path) for path in FILES}


def place(module: str) -> tuple[int, str]:
    """The layer of a module, and the entry of LAYERS that it falls under."""
    for level, names in enumerate(LAYERS):
        for name in names - {"streamdyn"}:
            if module == name or module.startswith(name + "."):
                return level, name
    if module == "streamdyn":
        return next(n for n, names in enumerate(LAYERS) if module in names), module
    raise LookupError(f"{module} has no layer; add it to LAYERS")


def imports(code: str, package: str) -> list[str]:
    """The modules that code in a package imports where a type checker is not the only reader."""
    names: list[str] = []
    tree = ast.parse(code)
    for_checkers = [
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    ]
    for node in ast.walk(tree):
        if node in for_checkers:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            home = resolve_name("." * node.level + (node.module or ""), package)
            members = [f"{home}.{alias.name}" for alias in node.names]
            names += [member if member in MODULES else home for member in members]
    return names


def imports_of(path: Path) -> list[str]:
    module = module_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return imports(path.read_text(), package)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_down(path):
    level, entry = place(module_of(path))
    for name in imports_of(path):
        if name.split(".")[0] != "streamdyn":
            continue
        other_level, other_entry = place(name)
        assert other_level < level or other_entry == entry or level == other_level == GROUND, (
            f"{module_of(path)} (layer {level}) imports {name} (layer {other_level})"
        )


@pytest.mark.parametrize(
    ("code", "package", "expected"),
    [
        ("import av, streamdyn.cli", "streamdyn.sources", ["av", "streamdyn.cli"]),
        ("from streamdyn.cli import main", "streamdyn.sources", ["streamdyn.cli"]),
        ("from streamdyn import Frame, cli", "streamdyn", ["streamdyn", "streamdyn.cli"]),
        ("from ..cli import main", "streamdyn.sources", ["streamdyn.cli"]),
        ("from .. import Frame, cli", "streamdyn.sources", ["streamdyn", "streamdyn.cli"]),
        ("from . import base", "streamdyn.sources", ["streamdyn.sources.base"]),
        ("if TYPE_CHECKING:\n    from ..cli import main", "streamdyn.sources", []),
        ("def late():\n    from ..cli import main", "streamdyn.sources", ["streamdyn.cli"]),
    ],
)
def test_no_way_to_import_is_overlooked(code, package, expected):
    assert imports(code, package) == expected


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_the_cluster_imports_ray(path):
    module = f"{module_of(path)}."
    uses_ray = any(name.split(".")[0] == "ray" for name in imports_of(path))
    assert not uses_ray or module.startswith("streamdyn.cluster."), f"{module_of(path)} imports ray"


def test_every_package_is_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    on_disk = {module_of(path) for path in FILES if path.name == "__init__.py"}
    assert set(settings["packages"]) == on_disk


def test_every_public_name_is_there():
    assert sorted(streamdyn.__all__) == streamdyn.__all__ == sorted(streamdyn._HOMES)
    for name in streamdyn.__all__:
        assert getattr(streamdyn, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = streamdyn.Nothing


def loaded_by(code: str) -> set[str]:
    show = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("code", ["import streamdyn", "from streamdyn import Pipeline, Policy"])
def test_import_is_light(code):
    heavy = {"torch", "ray", "av", "cv2", "decord", "onnxruntime", "rich", "matplotlib", "pydantic"}
    assert loaded_by(code) & heavy == set()
