"""Streams on a Ray cluster of their own, watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from streamdyn.bench.streams.meter import Meter, Span, between
from streamdyn.bench.streams.setting import Setting
from streamdyn.cluster import Supervisor, Work
from streamdyn.errors import StreamdynError
from streamdyn.output import SaveTo
from streamdyn.sources import open_source
from streamdyn.specs import EngineSettings, ModelSpec
from streamdyn.status import Account, ActorStatus, Event, StreamStatus

START_SECONDS = 180.0  # for all streams to tell of a frame
SETTLE_SECONDS = 2.0  # after that, before anything is measured
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that a stream told."""

    at: float  # as monotonic()
    stream: str
    event: Event


class Fleet:
    """A supervisor with one model and one policy, as a context manager.

    Args:
        name: of the folder of the results, a new one.
        keep: see `Meter`.
    """

    def __init__(
        self, setting: Setting, name: str, model: ModelSpec, policy: str,
        engines: EngineSettings | None = None, *, keep: int = 0,
    ) -> None:  # fmt: skip
        self.folder = setting.folder / name
        self.meter = Meter(keep)
        self.events: list[Happened] = []
        self.supervisor = Supervisor(engines or EngineSettings(), self.folder, on_event=self._note)
        self._model, self._policy = model, policy

    def __enter__(self) -> Self:
        self.supervisor.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.supervisor.__exit__(kind, error, trace)

    def add(
        self, sources: Sequence[str | Path], *,
        max_frames: int | None = None, save: Sequence[SaveTo] = ("jsonl",),
    ) -> list[str]:  # fmt: skip
        """Start streams; return their names."""
        names = [f"stream-{number}" for number in range(1, len(sources) + 1)]
        for name, source in zip(names, sources, strict=True):
            opened = open_source(source, name=name, max_frames=max_frames)
            work = Work(name=name, source=opened, policy=self._policy, model=self._model)
            self.supervisor.add_work(work, save, on_prediction=self.meter.update)
        return names

    def start(
        self, sources: Sequence[str | Path], *, save: Sequence[SaveTo] = ("jsonl",)
    ) -> list[str]:
        """Start streams, and wait until all of them have told of a frame, and a little more."""
        names = self.add(sources, save=save)
        self.wait(lambda: self.meter.saw(names), "the first results", START_SECONDS)
        sleep(SETTLE_SECONDS)
        return names

    def steady(self, seconds: float) -> Span:
        """What comes while all streams run."""
        before = self.meter.total()
        sleep(seconds)
        return between(before, self.meter.total())

    def wait(self, holds: Callable[[], bool], what: str, seconds: float) -> float:
        """Wait for something; return when it was there, as `monotonic`.

        Raises:
            StreamdynError: it does not come in time, or a stream has failed.
        """
        deadline = monotonic() + seconds
        while not holds():
            for stream in self.streams():
                if stream.state == "failed":
                    raise StreamdynError(f"{stream.name} failed: {stream.error}")
            if monotonic() > deadline:
                raise StreamdynError(f"waited {seconds:g} s in vain for {what}")
            sleep(_LOOK_SECONDS)
        return monotonic()

    def streams(self) -> Sequence[StreamStatus]:
        """The figures of all streams."""
        return self.supervisor.status().streams

    def account(self) -> Account:
        """Of all streams together."""
        return self.supervisor.status().account

    def actors(self, role: str) -> list[ActorStatus]:
        """The processes of a role that have told of themselves."""
        return [actor for actor in self.supervisor.status().actors if actor.role == role]

    def _note(self, stream: str, event: Event) -> None:
        self.events.append(Happened(monotonic(), stream, event))
