"""Code that a user or a card names: `module:name`, `./file.py:name`, or a built-in postprocess."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from streamdyn.load import load_object
from streamdyn.postprocess import BUILTIN, Postprocess
from streamdyn.types import Result, Task


def resolve(module: str, name: str, folder: Path = Path()) -> Any:
    """Import `name` of a module, or of a `.py` file relative to `folder`.

    Raises:
        ValueError: it cannot be found, or its module fails when imported.
    """
    place = str(folder / module) if module.endswith(".py") else module
    try:
        return load_object(place, name)
    except LookupError as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # whatever the user's module does when it is imported
        raise ValueError(f"{module} cannot be imported: {type(error).__name__}: {error}") from error


def bind_postprocess(
    name: str, task: Task, options: Mapping[str, Any], folder: Path
) -> partial[Result]:
    """The postprocessing of this name with its options bound, checked against its signature.

    Raises:
        ValueError: there is none, or it does not take these options.
    """
    function = _find(name, task, folder)
    signature = inspect.signature(function)
    takes = list(signature.parameters.values())[3:]
    names = [parameter.name for parameter in takes if parameter.kind is not parameter.VAR_KEYWORD]
    if len(names) == len(takes) and (unknown := sorted(options.keys() - set(names))):
        raise ValueError(
            f"output.options: {name} has no {', '.join(unknown)}; it takes "
            f"{', '.join(str(parameter) for parameter in takes) or 'none'}"
        )
    try:
        signature.bind(None, None, None, **options)
    except TypeError as error:
        raise ValueError(
            f"output.postprocess: {name} must take (outputs, fit, classes, **options): {error}"
        ) from None
    hints = get_type_hints(function, include_extras=True)
    for key, value in options.items():
        _check_option(key, value, hints.get(key, Any))
    return partial(function, **options)


def _find(name: str, task: Task, folder: Path) -> Postprocess:
    if name in BUILTIN[task]:
        return BUILTIN[task][name]
    module, colon, function = name.rpartition(":")
    if not colon:
        near = get_close_matches(name, BUILTIN[task], n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(BUILTIN[task])}"
        raise ValueError(
            f"output.postprocess: there is no {name!r} for {task}; {hint} "
            f"Or give your own as module:function or ./file.py:function"
        )
    try:
        found = resolve(module, function, folder)
    except ValueError as error:
        raise ValueError(f"output.postprocess {name!r}: {error}") from error
    if not callable(found):
        raise ValueError(f"output.postprocess {name!r} is no function")
    own: Postprocess = found
    return own


def _check_option(key: str, value: Any, hint: Any) -> None:
    try:
        TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Input ")
        raise ValueError(f"output.options.{key} is {value!r}; {reason}") from None
