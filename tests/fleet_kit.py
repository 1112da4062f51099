"""Streams on a Ray cluster, and what breaks them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from streamdyn import open_source
from streamdyn.cluster import Supervisor, Work
from streamdyn.policies import Change
from streamdyn.specs import EngineSettings, ModelSpec
from streamdyn.status import ActorStatus, Event, StreamStatus

PATIENCE = 60.0  # seconds, for what should take a few

ONE_WORKER = EngineSettings(workers=1, threads=1)


class Slowly(Change):
    """So slow that there is time to break something."""

    def __init__(self, seconds: float = 0.01) -> None:
        super().__init__(threshold=4)
        self._seconds = seconds

    def decide(self, frame, state):
        time.sleep(self._seconds)
        return super().decide(frame, state)


def slowly(seconds: float = 0.01) -> str:
    return f"{__file__}:Slowly(seconds={seconds})"


class Fleet:
    """A supervisor, the streams it was given, and what it told of them."""

    def __init__(
        self,
        output: Path,
        address: str,
        model: ModelSpec,
        settings: EngineSettings = ONE_WORKER,
    ) -> None:
        self.output = output
        self.model = model
        self.events: list[tuple[str, Event]] = []
        self.supervisor = Supervisor(
            settings, output, address, lambda name, event: self.events.append((name, event))
        )

    def add(
        self,
        name: str,
        source: str,
        policy: str | None = None,
        *,
        save: tuple[str, ...] = ("jsonl",),
        restart_after: float | None = 2.0,
        model: ModelSpec | None = None,
        **options: Any,
    ) -> None:
        work = Work(
            name=name,
            source=open_source(source, name=name, **options),
            policy=policy or slowly(),
            model=model or self.model,
            restart_after=restart_after,
        )
        self.supervisor.add_work(work, save)

    def stream(self, name: str) -> StreamStatus:
        return next(s for s in self.supervisor.status().streams if s.name == name)

    def computed(self, name: str) -> int:
        return self.stream(name).account.computed

    def actors(self, role: str) -> list[ActorStatus]:
        return [actor for actor in self.supervisor.status().actors if actor.role == role]

    def decoder(self, name: str) -> int | None:
        """The process that decodes a stream."""
        return next((a.pid for a in self.actors("decoder") if name in a.streams), None)

    def wait(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait for something, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, (self.supervisor.status(), self.events)
            time.sleep(0.02)
        return found

    def wait_computed(self, name: str, count: int) -> None:
        self.wait(lambda: self.computed(name) >= count)

    def finish(self, *names: str) -> None:
        """Wait until these streams are over."""
        for name in names:
            self.wait(lambda name=name: self.stream(name).state in ("ended", "stopped", "failed"))

    def stop(self, *names: str) -> None:
        for name in names:
            self.supervisor.remove(name)
        self.finish(*names)

    def signal_worker(self, number: int) -> None:
        """Kill or stop a worker that holds streams, and wait until it is replaced."""
        pid = self.wait(lambda: next((a.pid for a in self.actors("worker") if a.streams), None))
        os.kill(pid, number)
        self.wait(lambda: gone(pid))

    def signal_decoder(self, name: str, number: int) -> None:
        """Kill or stop the decoder of a stream, and wait until it has another."""
        pid = self.wait(lambda: self.decoder(name))
        os.kill(pid, number)
        self.wait(lambda: gone(pid) and self.decoder(name) not in (None, pid))

    def records(self, name: str) -> list[dict[str, Any]]:
        """The lines of its results, without what the clock says of them."""
        found = [json.loads(line) for line in self.lines(name)]
        return [{k: v for k, v in record.items() if k not in TIMED} for record in found]

    def lines(self, name: str) -> list[str]:
        return (self.output / name / "results.jsonl").read_text().splitlines()

    def causes(self, name: str) -> list[str | None]:
        return [event.cause for stream, event in self.events if stream == name]


TIMED = ("stream", "latency_seconds")


def gone(pid: int) -> bool:
    """Whether a process is no more."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
