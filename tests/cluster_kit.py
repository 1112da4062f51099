"""An engine and its streams in one process, for tests."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from streamdyn import open_source
from streamdyn.cluster.engine import Engine
from streamdyn.cluster.feed import Feed
from streamdyn.cluster.messages import Answer, Checkpoint, EngineLostError, Outcome, Report, Work
from streamdyn.cluster.outbox import Outbox
from streamdyn.models.cut import Intake
from streamdyn.specs import ModelSpec

NET = """
import torch


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 3, padding=1)
    )
"""
CARD = """
name = "net"
task = "segmentation"
[input]
size = "source"
[output]
postprocess = "argmax"
labels = ["a", "b", "c"]
"""


def small_model(folder: Path) -> ModelSpec:
    """A network of two convolutions, whose results depend on what was computed before."""
    (folder / "net.py").write_text(NET)
    (folder / "net.toml").write_text(CARD)
    return ModelSpec(spec=f"{folder}/net.py:net", block=16)


def street(frames: int, seed: int = 1) -> str:
    return f"synthetic:street?width=128&height=96&frames={frames}&seed={seed}"


def work(model: ModelSpec, source: str, policy: str = "Change(threshold=4)", **more) -> Work:
    opened = open_source(source, name="cam")
    return Work(name="cam", source=opened, policy=policy, model=model, **more)


class Here:
    """The way to an engine of this process. What breaks it breaks it like the death of a worker.

    Args:
        breaks: asked at each picture how many came before; True loses all that the engine keeps.
    """

    def __init__(
        self, work: Work, engine: Engine, breaks: Callable[[int], bool] = lambda count: False
    ) -> None:
        self.work = work
        self.engine = engine
        self.breaks = breaks
        self.count = 0
        self.renewed = 0
        self.next: Engine | None = None  # where the stream is to move

    @property
    def moved(self) -> bool:
        return self.next is not None

    def open(self, size: tuple[int, int]) -> Intake:
        if self.next:
            self.engine.close(self.work.name)
            self.engine, self.next = self.next, None
        return self.engine.open(self.work.name, self.work.model, size)

    def compute(self, payload: bytes) -> Answer:
        self.count += 1
        if self.breaks(self.count - 1):
            self.engine.close(self.work.name)
            raise EngineLostError("the worker died")
        return self.engine.submit(self.work.name, pickle.loads(payload)).result(60)

    def renew(self, stop: Event) -> None:
        self.renewed += 1

    def close(self) -> None:
        self.engine.close(self.work.name)


class Run:
    """A feed that runs in a thread, and what it told."""

    def __init__(self, work: Work, connection: Here, checkpoint: Checkpoint | None = None) -> None:
        self.outbox = Outbox()
        self.feed = Feed(work, connection, self.outbox, checkpoint)
        self.reports: list[Report] = []
        self.thread = Thread(target=self.feed.run, daemon=True)

    def finish(self) -> list[Outcome]:
        """Run it to its end; return all outcomes, doubles too."""
        self.thread.start()
        while not self.reports or not self.reports[-1].ended:
            self.reports.append(self.outbox.take(1.0))
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.outcomes

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for report in self.reports for outcome in report.outcomes]

    @property
    def error(self) -> str | None:
        return self.reports[-1].error
