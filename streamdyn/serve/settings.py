"""The settings of a stream. What they do not say has a default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PositiveInt,
    field_validator,
)

from streamdyn.defaults import MODEL, POLICY, POLICY_TIMEOUT_SECONDS
from streamdyn.parsing import parse_propagation, parse_size
from streamdyn.quality import Quality
from streamdyn.specs import ModelSpec, StreamSpec


def _size(value: Any) -> tuple[int, int] | None:
    return None if value is None else parse_size(str(value))


def _propagation(value: Any) -> Literal["copy"] | float:
    return parse_propagation(str(value))


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Finite = Annotated[float, Field(gt=0, le=1e6)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration, in which no other words are allowed."""

    # `hide_input_in_errors`: what was given may be secret.
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class Settings(Section):
    """How a stream is read, computed and saved; the words are those of `streamdyn run`."""

    live: bool | None = None
    fps: Finite | None = None
    stride: PositiveInt = 1
    max_fps: Finite | None = None
    transport: Literal["tcp", "udp"] | None = None  # for RTSP; tcp
    timeout: Finite = 10.0
    decode_threads: PositiveInt | None = None
    policy: str = POLICY
    policy_timeout: Finite = POLICY_TIMEOUT_SECONDS
    model: str = MODEL
    card: str | None = None
    size: Annotated[tuple[int, int] | None, PlainValidator(_size)] = None
    block: PositiveInt = 32
    dtype: Literal["float32", "bfloat16"] = "float32"
    propagation: Annotated[Literal["copy"] | float, PlainValidator(_propagation)] = "copy"
    device: str = "cpu"
    target_agreement: Share | None = None
    audit_cost: Share = 0.05
    refresh_seconds: Finite | None = None
    # May hold credentials.
    save: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=("jsonl",), repr=False
    )


class StreamSettings(Settings):
    """A stream."""

    source: Annotated[str, Field(min_length=1, repr=False)]  # may hold credentials

    @field_validator("source")
    @classmethod
    def _has_credentials(cls, source: str) -> str:
        if "://***@" in source:
            raise ValueError("*** stands where user and password were left out; write them")
        return source

    def over(self, defaults: Settings) -> StreamSettings:
        """These settings, and the defaults where they say nothing."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        others = {name: getattr(defaults, name) for name in defaults.model_fields_set}
        return StreamSettings.model_construct(**(others | said))

    def spec(self, name: str) -> StreamSpec:
        """The stream, to be sent to where it runs."""
        return StreamSpec(
            name=name,
            source=self.source,
            live=self.live,
            fps=self.fps,
            stride=self.stride,
            max_fps=self.max_fps,
            transport=self.transport,
            timeout_seconds=self.timeout,
            threads=self.decode_threads,
            policy=self.policy,
            policy_timeout_seconds=self.policy_timeout,
            model=self._model(),
            quality=self._quality(),
            save=self.save,
        )

    def _model(self) -> ModelSpec:
        return ModelSpec(
            spec=self.model,
            card=self.card,
            size=self.size,
            block=self.block,
            dtype=self.dtype,
            propagation=self.propagation,
            device=self.device,
        )

    def _quality(self) -> Quality | None:
        if self.target_agreement is None and self.refresh_seconds is None:
            return None
        return Quality(
            target=self.target_agreement,
            audit_cost=self.audit_cost,
            refresh_seconds=self.refresh_seconds,
        )
