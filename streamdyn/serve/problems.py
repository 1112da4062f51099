"""What is wrong with settings, in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from pydantic import ValidationError

from streamdyn.serve.sections import Configuration, Engine, Http, Reservation
from streamdyn.serve.settings import StreamSettings

_SECTIONS = (StreamSettings, Configuration, Engine, Http, Reservation)
_WORDS = sorted({name for section in _SECTIONS for name in section.model_fields})


def problems(error: ValidationError) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each problem: where it is, and what it is. What was given is not told: it may be secret."""
    for detail in error.errors(include_url=False, include_input=False):
        place = detail["loc"]
        match detail["type"]:
            case "extra_forbidden":
                yield place, _unknown(str(place[-1]))
            case "missing":
                yield place, "it is missing"
            case "dict_type" | "model_type" | "model_attributes_type":
                yield place, "settings are expected here, a NAME: VALUE each"
            case "value_error":
                yield place, str(detail["ctx"]["error"])
            case _:
                yield place, detail["msg"]


def _unknown(word: str) -> str:
    near = [name for name in get_close_matches(word, _WORDS, n=2) if name != word]
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"there is no such setting here{hint}"
