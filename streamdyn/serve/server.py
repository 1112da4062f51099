"""The HTTP API, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, Self, TypeVar

from aiohttp import web

from streamdyn.errors import StreamdynError
from streamdyn.serve.access import guard
from streamdyn.serve.control import Control
from streamdyn.serve.routes import LARGEST_BODY, Routes, in_words
from streamdyn.serve.sections import Http

T = TypeVar("T")

START_SECONDS = 10.0
STOP_SECONDS = 2.0  # that requests have to come to their end


class Server:
    """Answers from entering to leaving.

    Raises:
        StreamdynError: on entering, it cannot listen there.
    """

    def __init__(self, control: Control, settings: Http) -> None:
        self._control = control
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="http", daemon=True)
        self._runner: web.AppRunner | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            port = self._run(self._start()).result(START_SECONDS)
        except OSError as error:
            self._end()
            where = f"{self._settings.host}:{self._settings.port}"
            raise StreamdynError(
                f"the HTTP API cannot listen on {where}: {error.strerror or error}; give another "
                "http.port or http.host"
            ) from None
        host = self._settings.host
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    async def _start(self) -> int:
        """Listen; return the port."""
        token = self._settings.token
        secret = token.get_secret_value() if token else None
        guarded = guard(secret, local=self._settings.is_local)
        app = web.Application(middlewares=[in_words, guarded], client_max_size=LARGEST_BODY)
        app.add_routes(Routes(self._control).table())
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=STOP_SECONDS
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    def _end(self) -> None:
        if self._runner:
            self._run(self._runner.cleanup()).result(2 * STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)
