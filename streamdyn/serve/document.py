"""A YAML file as plain values, of which each knows its line.

All scalars are text: what they mean is up to whoever reads them. So a stream may be called `no`,
and a token that is all digits stays as it was written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from streamdyn.errors import StreamdynError

LARGEST = 1 << 20  # bytes of a file
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
_KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
_QUOTED = re.compile(r"'(?!<)[^' ]{2,}'")  # in a message: some of the file, which may be secret


class ConfigError(StreamdynError):
    """A configuration cannot be used."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012 (overrides one of its kind)
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says: mappings, lists, texts and None."""

    path: Path
    values: Any = field(repr=False)  # may hold credentials
    _root: yaml.Node | None = field(repr=False)

    @classmethod
    def read(cls, path: Path, environment: Mapping[str, str] | None = None) -> Document:
        """Read a file, with `${NAME}` and `${NAME:-default}` taken from the environment.

        Raises:
            ConfigError: it cannot be read, is no YAML, has a key twice, or names a variable that
                is not set.
        """
        text = _text(path)
        try:
            loader = _Loader(text)
            root = loader.get_single_node()
            nodes = list(_nodes(root)) if root else []
            for node in nodes:
                _refuse_repeated(path, node)
            _substitute(path, nodes, os.environ if environment is None else environment)
            values = loader.construct_document(root) if root else None
        except yaml.MarkedYAMLError as error:
            raise _yaml_error(path, error) from None
        except yaml.YAMLError:
            raise ConfigError(f"{path} has characters that no YAML file may have") from None
        except RecursionError:
            raise ConfigError(f"{path} is nested too deeply") from None
        return cls(path, values, root)

    def error(self, place: Sequence[str | int], what: str) -> ConfigError:
        """The error of a value, which is found by the keys and positions that lead to it."""
        name = ".".join(map(str, place))
        return ConfigError(
            f"{self.path}, line {self._line(place)}: {name + ': ' if name else ''}{what}"
        )

    def _line(self, place: Sequence[str | int]) -> int:
        """The line of the key that leads to a value; of the last that is there."""
        node, line = self._root, 1
        for step in place:
            match node:
                case yaml.MappingNode():
                    pairs = [pair for pair in node.value if pair[0].value == str(step)]
                    if not pairs:
                        break
                    line, node = pairs[-1][0].start_mark.line + 1, pairs[-1][1]
                case yaml.SequenceNode() if isinstance(step, int) and step < len(node.value):
                    node = node.value[step]
                    line = node.start_mark.line + 1
                case _:
                    break
        return line


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; check the path") from None
    if len(data) > LARGEST:
        raise ConfigError(f"{path} is larger than {LARGEST >> 20} MiB, and so no configuration")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text file in UTF-8") from None


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Every node once, however often it is referred to."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _refuse_repeated(path: Path, node: yaml.Node) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{path}, line {key.start_mark.line + 1}: a key must be a text")
        line = key.start_mark.line + 1
        if key.value in lines:
            raise ConfigError(
                f"{path}, line {line}: {key.value} stands on line {lines[key.value]} already; "
                "remove one"
            )
        lines[key.value] = line


def _substitute(path: Path, nodes: Sequence[yaml.Node], environment: Mapping[str, str]) -> None:
    for node in nodes:
        if not isinstance(node, yaml.ScalarNode) or "${" not in node.value:
            continue
        line = node.start_mark.line + 1

        def value(match: re.Match[str], line: int = line) -> str:
            found = environment.get(match["name"], match["default"])
            if found is None:
                raise ConfigError(
                    f"{path}, line {line}: the environment has no {match['name']}; set it, or "
                    f"write ${{{match['name']}:-what else}}"
                )
            return found

        node.value = _VARIABLE.sub(value, node.value)


def _yaml_error(path: Path, error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    line = f", line {mark.line + 1}" if mark else ""
    problem = _QUOTED.sub("'...'", error.problem or error.context or "no YAML")
    return ConfigError(f"{path}{line}: {problem}; a text with signs such as : * & {{ needs quotes")
