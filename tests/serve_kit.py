"""What the tests of serving share: a supervisor in memory, and files of configuration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Condition

from streamdyn.errors import redact
from streamdyn.serve.config import Config
from streamdyn.specs import StreamSpec
from streamdyn.status import Account, ActorStatus, Event, Rates, RunStatus, StreamStatus

SECRET = "hunter2-Geheim"
TOKEN = "0123456789abcdef-token"


class MemorySupervisor:
    """Runs nothing, and keeps what should run: a supervisor whose streams are figures."""

    def __init__(self) -> None:
        self.specs: dict[str, StreamSpec] = {}
        self.statuses: dict[str, StreamStatus] = {}
        self.workers = ["worker-1"]
        self.calls: list[str] = []
        self.running = False
        self._changed = Condition()

    def add(self, stream: StreamSpec) -> None:
        if stream.name in self.specs:
            raise ValueError(f"there is a stream {stream.name} already")
        self._set("add", stream)

    def change(self, stream: StreamSpec) -> None:
        if stream.name not in self.specs:
            raise KeyError(stream.name)
        self._set("change", stream)

    def remove(self, name: str) -> None:
        with self._changed:
            del self.specs[name]
            self.statuses[name] = replace(self.statuses[name], state="stopped")
            self.calls.append(f"remove {name}")
            self._changed.notify_all()

    def _set(self, call: str, stream: StreamSpec) -> None:
        with self._changed:
            self.specs[stream.name] = stream
            self.statuses[stream.name] = running(stream.name, redact(stream.source))
            self.calls.append(f"{call} {stream.name}")
            self._changed.notify_all()

    def status(self) -> RunStatus:
        streams = tuple(self.statuses.values())
        workers = tuple(
            ActorStatus(name, "worker", 4711, "here", tuple(self.specs), 0.5, 10**8)
            for name in self.workers
        )
        return RunStatus(time.time(), 60.0, streams, workers)

    def add_worker(self) -> None:
        self.workers.append(f"worker-{len(self.workers) + 1}")

    def drain_worker(self, name: str) -> None:
        if name not in self.workers:
            raise KeyError(name)
        self.workers.remove(name)

    def end(self, name: str) -> None:
        """Let a stream come to its end."""
        with self._changed:
            self.statuses[name] = replace(self.statuses[name], state="ended")
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(self._have_all_ended, timeout)

    def _have_all_ended(self) -> bool:
        return all(s.state in ("ended", "stopped", "failed") for s in self.statuses.values())

    def wait_for_call(self, call: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: call in self.calls, 30.0), self.calls

    def __enter__(self) -> MemorySupervisor:
        self.running = True
        return self

    def __exit__(self, *error: object) -> None:
        self.running = False


def running(name: str, source: str = "rtsp://cam", **figures: object) -> StreamStatus:
    """A stream that runs, at 7.9 of 10 frames a second."""
    status = StreamStatus(
        name,
        source,
        "running",
        Event(1.0, "running"),
        Account(computed=20, reused=59, dropped=21),
        Rates(captured=10, decoded=10, computed=2, reused=5.9, dropped=2.1),
        density=0.05,
        share=0.06,
        age_seconds={"p50": 0.1, "p95": 0.3, "p99": 0.4},
        bytes_per_frame=123_456.0,
        frames_to_recover=12,
        worker="worker-1",
        limit="engine",
        limit_shares={"engine": 0.92, "decode": 0.08},
    )
    return replace(status, **figures)


def write_config(folder: Path, text: str) -> Path:
    """Write the file, in one go."""
    path, new = folder / "cameras.yaml", folder / "new"
    new.write_text(text, encoding="utf-8")
    return new.replace(path)


def read_config(folder: Path, text: str, **environment: str) -> Config:
    return Config.read(write_config(folder, text), environment)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread does, at most half a minute."""
    end = time.monotonic() + 30.0
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
