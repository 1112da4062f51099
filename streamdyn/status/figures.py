"""The figures themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from streamdyn.status.account import Account

StreamState = Literal[
    "waiting",  # for its turn to start, or for a worker
    "connecting",
    "running",
    "reconnecting",
    "draining",  # told to stop; what waits is being written
    "ended",
    "stopped",  # by the user
    "failed",
]
Role = Literal["decoder", "worker"]
Limit = Literal["source", "decode", "policy", "engine", "transfer", "sinks"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a stream."""

    at: float  # wall time, seconds since 1970
    state: StreamState
    cause: str | None = None  # "timeout", "refused", "authentication", "worker lost", ...
    message: str = ""  # for people; without credentials
    frames_to_recover: int | None = None  # decoded after a reconnect, before the first handed out


@dataclass(frozen=True, slots=True)
class Rates:
    """Frames per second, over the last seconds."""

    captured: float = 0.0
    decoded: float = 0.0
    computed: float = 0.0
    reused: float = 0.0
    dropped: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream. What is not known yet is None."""

    name: str
    source: str  # without credentials
    state: StreamState = "waiting"
    event: Event | None = None  # the last one
    account: Account = field(default_factory=Account)
    rates: Rates = field(default_factory=Rates)
    density: float | None = None  # mean over the last seconds, as is the share
    share: float | None = None
    age_seconds: Mapping[str, float] = field(default_factory=dict)  # "p50", "p95", "p99" of
    # results: from when the frame was captured until its result was there
    queue: int = 0  # frames captured and not yet at their end
    bytes_per_frame: float | None = None  # sent to the worker for each computed frame
    reconnects: int = 0
    gap_seconds: float = 0.0  # without a connection, or without a decoder
    frames_to_recover: int | None = None  # as the last reconnect says
    crashes: int = 0  # of its decoder, or of the worker that held it
    worker: str | None = None  # that holds it
    limit: Limit | None = None  # what keeps it from being faster
    limit_shares: Mapping[Limit, float] = field(default_factory=dict)  # time share of each limit
    error: str | None = None  # why it failed


@dataclass(frozen=True, slots=True)
class ActorStatus:
    """One process."""

    name: str
    role: Role
    pid: int
    node: str
    streams: tuple[str, ...] = ()
    load: float = 0.0  # share of the last seconds in which it computed or decoded, in [0, 1]
    memory_bytes: int = 0
    draining: bool = False


@dataclass(frozen=True, slots=True)
class RunStatus:
    """All of it, at one moment."""

    at: float  # wall time, seconds since 1970
    uptime_seconds: float
    streams: tuple[StreamStatus, ...] = ()
    actors: tuple[ActorStatus, ...] = ()

    @property
    def account(self) -> Account:
        """Of all streams together."""
        return sum((stream.account for stream in self.streams), Account())


def to_dict(status: RunStatus) -> dict[str, Any]:
    """The status as JSON has it."""
    found = asdict(status)
    for stream, entry in zip(status.streams, found["streams"], strict=True):
        entry["account"]["captured"] = stream.account.captured
    found["account"] = {**asdict(status.account), "captured": status.account.captured}
    return found
