"""The one place where streams are added, changed and removed: for the file and for the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from threading import RLock
from typing import TypeVar

from streamdyn.errors import StreamdynError
from streamdyn.serve.config import Config, taken_name, unfit_name
from streamdyn.serve.document import ConfigError
from streamdyn.serve.settings import StreamSettings
from streamdyn.serve.supervisor import Supervisor
from streamdyn.sinks import check_kind
from streamdyn.specs import StreamSpec

T = TypeVar("T")

_FIXED = ("engine", "decoders", "output", "http", "ray")  # sections that are read but once


class NotAllowedError(StreamdynError):
    """The API was asked for what only the file may ask for."""


@dataclass(slots=True)
class Changes:
    """What a new version of the file came to; names of streams, or what could not be done."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # and why
    later: list[str] = field(default_factory=list)  # sections that count from the next start on

    def __str__(self) -> str:
        told = [
            f"{part.name} {', '.join(names)}"
            for part in fields(self)
            if part.name != "failed" and (names := getattr(self, part.name))
        ]
        told += [f"failed {name}: {why}" for name, why in self.failed.items()]
        return "; ".join(told) or "nothing changed"


class Control:
    """Keeps what runs as the file, and then the API, say it should be.

    A new version of the file changes what differs from its former version, so that what the API
    added stays.
    """

    def __init__(self, supervisor: Supervisor, config: Config) -> None:
        self.supervisor = supervisor
        self._config = config
        self._streams: dict[str, StreamSpec] = {}
        self._lock = RLock()

    @property
    def streams(self) -> dict[str, StreamSpec]:
        """What should run."""
        with self._lock:
            return dict(self._streams)

    def start(self) -> Changes:
        """Start the streams of the file."""
        changes = Changes()
        with self._lock:
            for name, stream in self._config.streams.items():
                _try(changes.added, changes.failed, name, self._put, stream)
        return changes

    def apply(self, config: Config) -> Changes:
        """Take over a new version of the file."""
        changes = Changes()
        with self._lock:
            old, self._config = self._config, config
            for name in old.streams.keys() - config.streams.keys() & self._streams.keys():
                _try(changes.removed, changes.failed, name, self.remove, name)
            for name, stream in config.streams.items():
                if stream == old.streams.get(name):
                    continue
                done = changes.changed if name in self._streams else changes.added
                _try(done, changes.failed, name, self._put, stream)
        changes.later = [
            name for name in _FIXED if getattr(old.settings, name) != getattr(config.settings, name)
        ]
        return changes

    def put(self, name: str, settings: StreamSettings, *, new: bool = False) -> bool:
        """Add a stream, or change the one of that name; return whether it was added.

        Args:
            new: whether there must be none of that name.

        Raises:
            ValueError: there is one already.
            NotAllowedError: it names code that the file does not name.
            StreamdynError: it cannot be started, or its name cannot be used.
        """
        with self._lock:
            if new and name in self._streams:
                raise ValueError(f"there is a stream {name} already")
            if unfit := unfit_name(name):
                raise ConfigError(f"{name}: {unfit}")
            stream = self._config.stream(name, settings)
            self._refuse_unknown_code(stream)
            added = name not in self._streams
            self._put(stream)
        return added

    def remove(self, name: str) -> None:
        """Stop a stream.

        Raises:
            KeyError: there is none of that name.
        """
        with self._lock:
            self.supervisor.remove(name)
            self._streams.pop(name, None)

    def _put(self, stream: StreamSpec) -> None:
        if taken := taken_name(stream.name, self._streams.keys() - {stream.name}):
            raise ValueError(taken)
        require_usable(stream)
        if stream.name in self._streams:
            self.supervisor.change(stream)
        else:
            self.supervisor.add(stream)
        self._streams[stream.name] = stream

    def _refuse_unknown_code(self, stream: StreamSpec) -> None:
        """Whoever can reach the API must not thereby run code of their own."""
        if unknown := self._config.unknown_code(stream):
            raise NotAllowedError(
                f"{unknown} may run code, and {self._config.document.path.name} does not name it; "
                "add a stream with it there"
            )


def require_usable(stream: StreamSpec) -> None:
    """Raise StreamdynError for a stream whose policy or sinks there are not.

    Its source is opened, and its model loaded, where they are used.
    """
    stream.make_policy()
    for kind in stream.save:
        check_kind(kind)


def _try(
    done: list[str], failed: dict[str, str], name: str, act: Callable[[T], None], argument: T
) -> None:
    try:
        act(argument)
    except (StreamdynError, ValueError, KeyError) as error:
        failed[name] = str(error)
    else:
        done.append(name)
