"""A TCP proxy that breaks connections as a bad network does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any, Self

from streamdyn.bench.cameras.ports import HOST, free_port

_CHUNK = 1 << 16
_MOST_WAITING = 64  # chunks
_RATED_SECONDS = 0.05  # how much is sent at once when the rate is limited

_Waiting = asyncio.Queue[tuple[float, bytes]]  # when to send, and what; b"" is the end


class FaultyProxy:
    """Passes what comes to its port on to another of this machine, and back, until told otherwise.

    Attributes:
        port: where clients connect; it stays the same.
        delay_seconds: how much later everything arrives.
        bytes_per_second: that pass at most in each direction of a connection; None is no limit.
        accepted: how many connections came.
    """

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.delay_seconds = 0.0
        self.bytes_per_second: float | None = None
        self.accepted = 0
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._passing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def forward(self) -> None:
        """Work as it should."""
        self._do(self._forward())

    def stall(self) -> None:
        """Keep and accept connections, but pass nothing; what came meanwhile passes later."""
        self._do(self._stall())

    def refuse(self) -> None:
        """Accept no connection; those that are open go on."""
        self._do(self._refuse())

    def drop(self) -> None:
        """Cut all open connections."""
        self._do(self._drop())

    def __enter__(self) -> Self:
        self._thread.start()
        self.forward()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self.drop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, change: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(change, self._loop).result()

    async def _forward(self) -> None:
        self._passing.set()
        await self._listen()

    async def _stall(self) -> None:
        self._passing.clear()
        await self._listen()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connect, HOST, self.port)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _drop(self) -> None:
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client until both ends have hung up, or it is dropped."""
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            self._connections.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, self._target_port)
        try:
            async with asyncio.TaskGroup() as group:
                for source, target in ((reader, back), (there, writer)):
                    waiting: _Waiting = asyncio.Queue(_MOST_WAITING)
                    group.create_task(self._read(source, waiting))
                    group.create_task(self._write(waiting, target))
        except* OSError:
            pass  # one end was reset: so is the other
        finally:
            back.transport.abort()

    async def _read(self, source: asyncio.StreamReader, waiting: _Waiting) -> None:
        data = b"anything"
        while data:
            data = await source.read(_CHUNK)
            await waiting.put((monotonic() + self.delay_seconds, data))

    async def _write(self, waiting: _Waiting, target: asyncio.StreamWriter) -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(due - monotonic(), 0))
            if not data:
                break
            while data:
                await self._passing.wait()
                data = await self._send(data, target)
        target.write_eof()

    async def _send(self, data: bytes, target: asyncio.StreamWriter) -> bytes:
        """Send as much as the rate allows at once; returns the rest."""
        rate = self.bytes_per_second
        size = max(int(rate * _RATED_SECONDS), 1) if rate else len(data)
        target.write(data[:size])
        await target.drain()
        if rate:
            await asyncio.sleep(size / rate)
        return data[size:]
