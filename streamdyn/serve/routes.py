"""What the API answers. JSON in, JSON out; what goes wrong is {"error": ...}."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from traceback import format_exc
from typing import Any, ParamSpec, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import TypeAdapter, ValidationError

from streamdyn.errors import StreamdynError, redact
from streamdyn.serve.control import Control, NotAllowedError
from streamdyn.serve.metrics import expose
from streamdyn.serve.problems import problems
from streamdyn.serve.settings import StreamSettings
from streamdyn.status import to_dict

log = logging.getLogger(__name__)

LARGEST_BODY = 64 << 10  # bytes
BODY_SECONDS = 10.0  # for the whole of it
HEALTH_SECONDS = 5.0  # within which a status must come

P = ParamSpec("P")
T = TypeVar("T")


class _RequestError(Exception):
    """A request that cannot be done."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(what)
        self.code = code


class Routes:
    """The handlers. What they call may take long, and so is called in a thread."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/healthz", self.health),
            web.get("/metrics", self.metrics),
            web.get("/status", self.status),
            web.get("/streams", self.streams),
            web.post("/streams", self.add_stream),
            web.get("/streams/{name}", self.stream),
            web.put("/streams/{name}", self.put_stream),
            web.delete("/streams/{name}", self.remove_stream),
            web.post("/workers", self.add_worker),
            web.delete("/workers/{name}", self.drain_worker),
        ]

    async def health(self, request: web.Request) -> web.Response:
        try:
            await asyncio.wait_for(self._status(), HEALTH_SECONDS)
        except TimeoutError:
            raise _RequestError(503, "the streams do not answer") from None
        return web.json_response({"status": "ok"})

    async def metrics(self, request: web.Request) -> web.Response:
        status = await _call(self._control.supervisor.status)
        return web.Response(body=expose(status), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def status(self, request: web.Request) -> web.Response:
        return web.json_response(await self._status())

    async def streams(self, request: web.Request) -> web.Response:
        return web.json_response((await self._status())["streams"])

    async def stream(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        for stream in (await self._status())["streams"]:
            if stream["name"] == name:
                return web.json_response(stream)
        raise _no_stream(name)

    async def add_stream(self, request: web.Request) -> web.Response:
        body = await _body(request)
        name = body.pop("name", None)
        if not isinstance(name, str):
            raise _RequestError(422, "name: it is missing, or no text")
        return await self._put(name, body, new=True)

    async def put_stream(self, request: web.Request) -> web.Response:
        return await self._put(request.match_info["name"], await _body(request), new=False)

    async def remove_stream(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        try:
            await _call(self._control.remove, name)
        except KeyError:
            raise _no_stream(name) from None
        return web.json_response({"removed": name})

    async def add_worker(self, request: web.Request) -> web.Response:
        await _call(self._control.supervisor.add_worker)
        return web.json_response({"workers": "one more"}, status=201)

    async def drain_worker(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        try:
            await _call(self._control.supervisor.drain_worker, name)
        except KeyError:
            raise _RequestError(404, f"there is no worker {name}") from None
        return web.json_response({"draining": name})

    async def _put(self, name: str, body: dict[str, Any], *, new: bool) -> web.Response:
        settings = _settings(body)
        try:
            added = await _call(self._control.put, name, settings, new=new)
        except NotAllowedError as error:
            raise _RequestError(403, str(error)) from None
        except ValueError as error:
            raise _RequestError(409, str(error)) from None
        if added:
            return web.json_response({"added": name}, status=201)
        return web.json_response({"changed": name})

    async def _status(self) -> dict[str, Any]:
        return to_dict(await _call(self._control.supervisor.status))


@web.middleware
async def in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what goes wrong as JSON, without credentials and without a trace."""
    try:
        return await handler(request)
    except _RequestError as problem:
        return _error(problem.code, str(problem))
    except StreamdynError as error:
        return _error(422, str(error))
    except web.HTTPException as error:
        headers = {k: v for k, v in error.headers.items() if k in ("Allow", "WWW-Authenticate")}
        return _error(error.status, error.text or error.reason, headers)
    except Exception:
        log.error("the API failed at %s\n%s", request.path, redact(format_exc()))
        return _error(500, "it failed; the log of streamdyn serve says why")


def _error(code: int, what: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": redact(what)}, status=code, headers=headers)


async def _call(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    return await asyncio.to_thread(function, *arguments, **named)


async def _body(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent.

    A page of a browser can send JSON from elsewhere only after asking, which is refused.
    """
    if request.content_type != "application/json":
        raise _RequestError(415, "send JSON, as Content-Type: application/json")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            text = await request.read()
    except TimeoutError:
        raise _RequestError(408, f"the body did not come within {BODY_SECONDS:g} s") from None
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise _RequestError(400, "the body is no JSON") from None
    if not isinstance(body, dict):
        raise _RequestError(422, "the body is no object of settings")
    return body


def _settings(body: dict[str, Any]) -> StreamSettings:
    try:
        return TypeAdapter(StreamSettings).validate_python(body)
    except ValidationError as error:
        found = [f"{'.'.join(map(str, place))}: {what}" for place, what in problems(error)]
        raise _RequestError(422, "; ".join(found)) from None


def _no_stream(name: str) -> _RequestError:
    return _RequestError(404, f"there is no stream {name}")
