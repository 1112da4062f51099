"""Names to objects: `Change(threshold=6)`, `package.module:Class`, `./file.py:Class`."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from streamdyn.errors import PolicyError, StreamdynError
from streamdyn.policy import Policy

_COMBINATION = re.compile(r"\s+([&|])\s+")


@dataclass(frozen=True, slots=True)
class Spec:
    """A name with keyword arguments, as in `module:Name(key=value)`."""

    module: str  # "" for what ships with streamdyn
    name: str
    arguments: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read `[module:]Name[(key=literal, ...)]`.

        Raises:
            ValueError: the text is of another form, or an argument is not a keyword and a literal.
        """
        target, parenthesis, rest = text.strip().partition("(")
        module, _, name = target.rpartition(":")
        if not name.isidentifier():
            raise ValueError(f"{text!r} is not NAME, NAME(key=value) or module:NAME(key=value)")
        if not parenthesis:
            return cls(module, name, {})
        try:
            call = ast.parse(f"{name}({rest}", mode="eval").body
        except SyntaxError:
            raise ValueError(f"cannot read the arguments of {text!r}") from None
        if (
            not isinstance(call, ast.Call)
            or not isinstance(call.func, ast.Name)
            or call.args
            or not all(k.arg for k in call.keywords)
        ):
            raise ValueError(f"{text!r} needs its arguments as key=value")
        try:
            arguments = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        except (ValueError, TypeError):
            raise ValueError(
                f"the arguments of {text!r} may only be numbers, strings, lists and the like"
            ) from None
        return cls(module, name, arguments)


def load_object(module: str, name: str) -> Any:
    """Import `name` from a module, `package.module` or the path of a `.py` file.

    The current folder is searched as well, as `python -m` would.

    Raises:
        LookupError: there is no such module, or it has no such name.
    """
    loaded = _load_file(Path(module)) if module.endswith(".py") else _load_module(module)
    try:
        return getattr(loaded, name)
    except AttributeError:
        public = [n for n in getattr(loaded, "__all__", vars(loaded)) if not n.startswith("_")]
        near = get_close_matches(name, public, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(public) or 'nothing'}"
        raise LookupError(f"no {name!r} in {module}; {hint}") from None


def load_policy(spec: str) -> Policy:
    """Build a policy: `Change`, `Change(threshold=6)`, `module:Class` or `./file.py:Class`.

    Several may be combined, from left to right: `Change | Interval(every=25)`. Each stream needs a
    policy of its own.

    Raises:
        PolicyError: there is no such policy, or it does not take these arguments.
    """
    first, *rest = _COMBINATION.split(spec)
    policy = _load_one(first)
    for sign, other in zip(rest[::2], rest[1::2], strict=True):
        part = _load_one(other)
        policy = policy & part if sign == "&" else policy | part
    return policy


def names_own_code(spec: str) -> bool:
    """Whether part of a policy is the user's: a module that stays in the process as it is now.

    >>> names_own_code("Change & ./mine.py:Mine")
    True
    """
    return any(":" in part.partition("(")[0] for part in _COMBINATION.split(spec)[::2])


def _load_one(spec: str) -> Policy:
    try:
        parsed = Spec.parse(spec)
        make = load_object(parsed.module or "streamdyn.policies", parsed.name)
    except (ValueError, LookupError) as error:
        raise PolicyError(f"policy {spec!r}: {error}") from None
    if not (isinstance(make, type) and issubclass(make, Policy)):
        raise PolicyError(f"policy {spec!r}: {parsed.name} is not a subclass of streamdyn.Policy")
    signature = inspect.signature(make)
    try:
        signature.bind(**parsed.arguments)
    except TypeError as error:
        raise PolicyError(f"policy {spec!r}: {error}; {parsed.name} takes {signature}") from None
    try:
        return make(**parsed.arguments)
    except (TypeError, ValueError, StreamdynError) as error:
        raise PolicyError(f"policy {spec!r}: {error}") from None
    except Exception as error:  # whatever the user's code does
        raise PolicyError(f"policy {spec!r} fails: {type(error).__name__}: {error}") from error


def _load_module(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise LookupError(f"there is no module {name!r}") from None
        raise LookupError(f"module {name!r} needs {error.name!r}, which is not installed") from None
    except Exception as error:  # whatever the user's code does
        raise LookupError(
            f"module {name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise LookupError(f"there is no file {path}")
    name = f"streamdyn_user_{path.resolve().as_posix().replace('/', '_').removesuffix('.py')}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LookupError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise LookupError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module
