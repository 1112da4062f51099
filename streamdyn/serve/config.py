"""The file that says what to serve, read and understood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from streamdyn.defaults import MODEL
from streamdyn.serve.document import ConfigError, Document
from streamdyn.serve.problems import problems
from streamdyn.serve.sections import Configuration
from streamdyn.serve.settings import StreamSettings
from streamdyn.sources.naming import safe_name
from streamdyn.specs import StreamSpec


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without a mistake in its form; whether its parts work, `check` says."""

    document: Document
    settings: Configuration
    streams: Mapping[str, StreamSpec]

    @classmethod
    def read(cls, path: Path, environment: Mapping[str, str] | None = None) -> Config:
        """Read a file.

        Args:
            environment: what `${NAME}` stands for; None: that of the process.

        Raises:
            ConfigError: with the line of everything that is wrong.
        """
        document = Document.read(path, environment)
        try:
            settings = Configuration.model_validate(document.values or {})
        except ValidationError as error:
            found = [str(document.error(place, what)) for place, what in problems(error)]
            raise ConfigError("\n".join(found)) from None
        names: list[str] = []
        for name in settings.streams:
            if wrong := unfit_name(name) or taken_name(name, names):
                raise document.error(("streams", name), wrong)
            names.append(name)
        streams = {
            name: stream.over(settings.defaults).spec(name)
            for name, stream in settings.streams.items()
        }
        return cls(document, settings, streams)

    def stream(self, name: str, settings: StreamSettings) -> StreamSpec:
        """A stream that is not in the file, with the file's defaults."""
        return settings.over(self.settings.defaults).spec(name)

    def error(self, name: str, setting: str, what: str) -> ConfigError:
        """The error of a setting of a stream, at the line where it got its value."""
        if setting in self.settings.streams[name].model_fields_set:
            return self.document.error(("streams", name, setting), what)
        if setting in self.settings.defaults.model_fields_set:
            return self.document.error(("defaults", setting), f"(for {name}) {what}")
        return self.document.error(("streams", name), what)

    def unknown_code(self, stream: StreamSpec) -> str | None:
        """What a stream from elsewhere names that may bring code which the file does not name.

        A policy brings code by a colon in its name; a model by itself, or by its card.
        """
        usual = self.stream("usual", StreamSettings(source="usual"))
        named = (usual, *self.streams.values())
        if ":" in stream.policy and stream.policy not in {one.policy for one in named}:
            return f"policy {stream.policy}"
        models = {(one.model.spec, one.model.card) for one in named} | {(MODEL, None)}
        if (stream.model.spec, stream.model.card) in models:
            return None
        card = f" with card {stream.model.card}" if stream.model.card else ""
        return f"model {stream.model.spec}{card}"


def unfit_name(name: str) -> str | None:
    """What is wrong with the name of a stream by itself; None: nothing."""
    if name == safe_name(name):
        return None
    return f"a stream's name must be fit to name a folder; call it {safe_name(name)}"


def taken_name(name: str, names: Iterable[str]) -> str | None:
    """Why a name cannot stand beside others: its folder would be the same; None: it can."""
    same = [other for other in names if other.casefold() == name.casefold()]
    return f"there is a stream {same[0]} already" if same else None
