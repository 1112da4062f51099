"""The workers: started, asked how they are, drained and replaced."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import ray
from ray.exceptions import RayError

from streamdyn.cluster.ending import cause_of_death, end
from streamdyn.cluster.messages import Vitals
from streamdyn.cluster.placement import Loads
from streamdyn.cluster.sizing import actor_options
from streamdyn.cluster.worker import Worker
from streamdyn.specs import ModelSpec, Resources
from streamdyn.status import ActorStatus

VITALS_SECONDS = 1.0  # between two times that a worker is asked how it is
SILENT_SECONDS = 10.0  # without an answer to that, and it is taken for dead
START_SECONDS = 120.0  # the same, for the first answer
CALL_SECONDS = 60.0  # that one call of the engine may take
OPEN_SECONDS = 600.0  # that a model may take to be loaded, and made ready for a stream
GET_SECONDS = 5.0  # that an answer may take to come from its node once it is there
FIRST_WAIT_SECONDS = 0.5  # before a worker is replaced that never ran; doubled with each in a row
LONGEST_WAIT_SECONDS = 30.0
HOPELESS = 5  # workers in a row that never ran: the streams should not wait for the next


@dataclass(slots=True)
class Member:
    """A worker."""

    name: str
    actor: Any
    asked_at: float
    pending: Any = None  # its vitals, or None between two times
    vitals: Vitals | None = None  # None before the first
    load: float = 0.0  # share of the last second that it computed
    draining: bool = False
    streams: dict[str, float] = field(default_factory=dict)  # that are given to it: their loads

    def receive(self) -> str | None:
        """Take over the vitals that it was asked for; return why it is lost, if it is."""
        pending, self.pending = self.pending, None
        try:
            vitals: Vitals = ray.get(pending, timeout=GET_SECONDS)
        except RayError as error:
            return cause_of_death(error, "the worker")
        now, before = monotonic(), self.vitals
        if before is not None:
            self.load = (vitals.busy_seconds - before.busy_seconds) / max(now - self.asked_at, 1e-3)
        self.vitals = vitals
        if vitals.call_seconds > CALL_SECONDS:
            return f"a call of the worker took {vitals.call_seconds:.0f} s"
        if vitals.open_seconds > OPEN_SECONDS:
            return f"the worker took {vitals.open_seconds:.0f} s to make a model ready"
        return None

    def forget_all_but(self, streams: Collection[str]) -> None:
        """Let the engine forget the streams that nobody decodes; a decoder that died could not."""
        for stream in self.vitals.streams if self.vitals else ():
            if stream not in streams:
                self.actor.close.remote(stream)

    @property
    def hangs(self) -> str | None:
        """Why to kill it, if it should have answered by now."""
        patience = START_SECONDS if self.vitals is None else SILENT_SECONDS
        silent = monotonic() - self.asked_at if self.pending is not None else 0.0
        return f"the worker was silent for {silent:.0f} s" if silent > patience else None

    @property
    def drained(self) -> bool:
        """Whether it is to end, and holds no stream any more."""
        held = self.vitals is None or self.vitals.streams
        return self.draining and not self.streams and not held

    def status(self) -> ActorStatus | None:
        """For the figures of a run, once it has answered."""
        vitals = self.vitals
        if vitals is None:
            return None
        return ActorStatus(
            self.name,
            "worker",
            vitals.pid,
            vitals.node,
            tuple(self.streams),
            load=min(self.load, 1.0),
            memory_bytes=vitals.memory_bytes,
            draining=self.draining,
        )


class Pool:
    """The workers of a run: as many as are wanted, or on their way.

    Args:
        wanted: workers.
        threads: of each worker.
        cpus: that Ray keeps free for each, where the resources do not say.
        folder: what relative paths are relative to.
    """

    def __init__(
        self, wanted: int, threads: int, resources: Resources, cpus: float, folder: str
    ) -> None:
        self.members: dict[str, Member] = {}
        self.wanted = wanted
        self.stillborn = 0  # in a row: they were lost before they ran
        self.last_loss = ""  # why
        self._arguments = threads, folder
        self._options = actor_options(resources, cpus)
        self._numbers = itertools.count(1)
        self._start_at = monotonic()  # not before

    def fill(self, models: Iterable[ModelSpec]) -> None:
        """Start the workers that are missing, if it is time to; they load these models at once."""
        while len(self.taking) < self.wanted and monotonic() >= self._start_at:
            make: Any = ray.remote(Worker)
            actor = make.options(**self._options).remote(*self._arguments)
            for model in models:
                actor.load.remote(model)
            name, vitals = f"worker-{next(self._numbers)}", actor.vitals.remote()
            self.members[name] = Member(name, actor, monotonic(), vitals)

    def prepare(self, model: ModelSpec) -> None:
        """Let the workers load a model that a stream will need."""
        for member in self.taking:
            member.actor.load.remote(model)

    def lose(self, name: str, why: str) -> Member:
        """End a worker that is lost, whatever it does. Another will take its place."""
        member = self.end(name)
        self.last_loss = why
        self.stillborn = self.stillborn + 1 if member.vitals is None else 0
        if self.stillborn:
            wait = FIRST_WAIT_SECONDS * 2 ** min(self.stillborn - 1, 10)
            self._start_at = monotonic() + min(wait, LONGEST_WAIT_SECONDS)
        return member

    def end(self, name: str) -> Member:
        """End a worker, whatever it does."""
        member = self.members.pop(name)
        end(member.actor, member.vitals)
        return member

    def want_one_more(self) -> None:
        """Have one more worker started."""
        self.wanted += 1

    def drain(self, name: str) -> None:
        """Take a worker away once its streams have moved; the last one is replaced.

        Raises:
            KeyError: there is none of that name.
        """
        member = self.members[name]
        if not member.draining:
            member.draining = True
            self.wanted = max(self.wanted - 1, 1)

    @property
    def hopeless(self) -> str | None:
        """Why no worker can be had, if that is so."""
        if self.stillborn < HOPELESS or self.ready:
            return None
        return f"{self.stillborn} workers in a row ended before they ran: {self.last_loss}"

    def ask(self) -> None:
        """Ask each worker how it is, if it is time to."""
        for member in self.members.values():
            if member.pending is None and monotonic() - member.asked_at >= VITALS_SECONDS:
                member.asked_at = monotonic()
                member.pending = member.actor.vitals.remote()

    @property
    def taking(self) -> list[Member]:
        """The workers that take more streams, now or when they run."""
        return [member for member in self.members.values() if not member.draining]

    @property
    def ready(self) -> list[Member]:
        """Those of them that run."""
        return [member for member in self.taking if member.vitals is not None]

    @property
    def loads(self) -> Loads:
        """Of the streams, by the workers that take more of them: those that run, or will."""
        return {member.name: member.streams for member in self.ready or self.taking}
