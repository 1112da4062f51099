"""What a configuration may say besides its streams. Everything it does not say has a default."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)

from streamdyn.serve.settings import Section, Settings, StreamSettings
from streamdyn.specs import EngineSettings, Resources

SHORTEST_TOKEN = 16  # characters


def _auto(value: Any) -> Any:
    return None if value == "auto" else value


Auto = BeforeValidator(_auto)


class Reservation(Section):
    """What is kept free for one process."""

    num_cpus: Annotated[NonNegativeFloat | None, Auto] = None
    resources: dict[str, PositiveFloat] = Field(default_factory=dict)

    def keep(self) -> Resources:
        return Resources(num_cpus=self.num_cpus, others=self.resources)


class Engine(Reservation):
    """The workers."""

    workers: Annotated[PositiveInt | None, Auto] = None
    threads: Annotated[PositiveInt | None, Auto] = None
    num_gpus: NonNegativeFloat = 0.0

    def keep(self) -> Resources:
        return Resources(num_cpus=self.num_cpus, num_gpus=self.num_gpus, others=self.resources)


class Http(Section):
    """Where the API listens, and who may use it."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765  # 0: any that is free
    token: SecretStr | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        if self.token is None and not self.is_local:
            raise ValueError(
                f"who reaches {self.host} could use the API; set a token, or listen on 127.0.0.1"
            )
        if self.token is not None and len(self.token.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(f"a token of fewer than {SHORTEST_TOKEN} characters can be guessed")
        return self


class Configuration(Section):
    """All of it."""

    defaults: Settings = Settings()
    streams: dict[str, StreamSettings] = Field(default_factory=dict)
    engine: Engine = Engine()
    decoders: Reservation = Reservation()
    output: str = "runs"
    http: Http = Http()
    ray: str = "local"

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        """A section of which all is commented out says nothing."""
        if not isinstance(values, dict):
            return values
        return {name: section for name, section in values.items() if section is not None}

    def engine_settings(self) -> EngineSettings:
        return EngineSettings(
            workers=self.engine.workers,
            threads=self.engine.threads,
            worker=self.engine.keep(),
            decoder=self.decoders.keep(),
        )
