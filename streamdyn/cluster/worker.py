"""The process that computes: an engine, for streams of any number of decoders."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psutil
import ray

from streamdyn.cluster.channel import Door, Doorkeeper
from streamdyn.cluster.engine import Engine
from streamdyn.cluster.messages import Answer, EngineLostError, Vitals
from streamdyn.errors import StreamdynError, redact
from streamdyn.logs import redact_logs
from streamdyn.models.cut import Intake
from streamdyn.specs import ModelSpec

OPENING = 256  # models and streams that are loaded or opened at once: those that hang hold up none

# What can go wrong is answered, not raised: Ray would add the traceback of the other process.
Failure = EngineLostError | StreamdynError

T = TypeVar("T")


def vitals(**more: object) -> Vitals:
    """Those of this process."""
    process = psutil.Process()
    node = ray.get_runtime_context().get_node_id()
    return Vitals(process.pid, node, process.memory_info().rss, **more)  # type: ignore[arg-type]


class Worker:
    """An engine as an actor. Its calls wait without holding up each other.

    Args:
        threads: of the models.
        folder: what relative paths are relative to.
    """

    def __init__(self, threads: int, folder: str) -> None:
        redact_logs()
        if os.path.isdir(folder):
            os.chdir(folder)
        self._opening = ThreadPoolExecutor(OPENING, "streamdyn-open")
        self._engine = Engine(lambda spec: spec.load(threads))
        self._keeper = Doorkeeper(ray.get_runtime_context().get_node_id(), self._answer)

    async def door(self) -> Door:
        """Where processes of this node reach the engine sooner than by `compute`."""
        return self._keeper.door

    async def load(self, spec: ModelSpec) -> Failure | None:
        """Load a model before a stream needs it."""
        try:
            await self._in_thread(self._engine.model, spec)
        except StreamdynError as error:
            return error
        return None

    async def open(self, stream: str, spec: ModelSpec, size: tuple[int, int]) -> Intake | Failure:
        """See `Engine.open`."""
        try:
            return await self._in_thread(self._engine.open, stream, spec, size)
        except StreamdynError as error:
            return error

    async def compute(self, stream: str, payload: bytes) -> Answer | Failure:
        """Compute a pickled `Job`; see `Engine.submit`."""
        answer = self._engine.submit(stream, pickle.loads(payload))
        try:
            return await asyncio.wrap_future(answer)
        except (EngineLostError, StreamdynError) as error:
            return error

    def _answer(self, stream: str, payload: bytes) -> bytes:
        """What `compute` answers, pickled, to whoever came through the door."""
        answer: Answer | Failure
        try:
            answer = self._engine.submit(stream, pickle.loads(payload)).result()
        except (EngineLostError, StreamdynError) as error:
            answer = error
        except Exception as error:  # of the code: the stream must not wait for ever
            answer = StreamdynError(f"the worker failed: {redact(repr(error))}")
        return pickle.dumps(answer, protocol=5)

    async def close(self, stream: str) -> None:
        """See `Engine.close`."""
        self._engine.close(stream)

    async def vitals(self) -> Vitals:
        """What the process tells of itself."""
        engine = self._engine
        return vitals(
            busy_seconds=engine.busy_seconds,
            call_seconds=engine.call_seconds,
            open_seconds=engine.open_seconds,
            streams=engine.streams,
        )

    async def _in_thread(self, call: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._opening, call, *values)
