"""Models that come with streamdyn."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from streamdyn.errors import ModelError
from streamdyn.models.card import ModelCard
from streamdyn.models.request import Request
from streamdyn.models.vision import VisionModel

_FOLDER = Path(__file__).with_name("builtin")


def load(target: str, request: Request) -> VisionModel:
    """The model that comes with streamdyn under this name.

    Raises:
        ModelError: there is none, or the card given cannot be used.
    """
    if target not in builtin_names():
        raise ModelError(_unknown(target))
    from streamdyn.models.python import find, finish  # imports torch, which a wrong name need not

    card = request.read_card() or ModelCard.read(_FOLDER / f"{target}.toml")
    make = find(f"streamdyn.models.builtin.{target}:{target}")
    return finish(make(), card, request)


def builtin_names() -> list[str]:
    """The models there are: each a NAME.toml, and a callable NAME in NAME.py."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def _unknown(name: str) -> str:
    if Path(name).exists():
        return (
            f"model {name!r} is of no known kind: give FILE.onnx, hf:FOLDER, or a Python "
            f"callable that returns the network, as FILE.py:NAME"
        )
    known = builtin_names()
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"built-in: {', '.join(known) or 'none'}."
    return (
        f"there is no model {name!r}; {hint} Other forms: FILE.onnx, hf:FOLDER, FILE.py:NAME, "
        f"module:NAME, torchvision:NAME, timm:NAME"
    )
