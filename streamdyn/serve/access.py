"""Who may use the API: whoever knows the token, or without one, programs of this machine."""

from __future__ import annotations

import hmac
import ipaddress

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

OPEN = ("/healthz",)  # tells nothing that is worth a token


def guard(token: str | None, *, local: bool) -> Middleware:
    """What refuses requests that may not be.

    Args:
        token: that each request must bear; None: none.
        local: whether the API listens on this machine alone. Then it is called by its address:
            a web page whose name was made to lead here afterwards is refused, as is a page that
            sends a request from elsewhere.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if local and not _is_this_machine(host):
            raise web.HTTPForbidden(text="call the API by 127.0.0.1 or localhost")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise web.HTTPForbidden(text="a web page from elsewhere may not use the API")
        if token is not None and request.path not in OPEN and not _bears(request, token):
            raise web.HTTPUnauthorized(
                text="give the token, as in `Authorization: Bearer TOKEN`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return await handler(request)

    return check


def _bears(request: web.Request, token: str) -> bool:
    """Compare in a time that does not tell how much was right."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    given_bytes = given.strip().encode(errors="surrogateescape")  # as they came
    same = hmac.compare_digest(given_bytes, token.encode())
    return same and scheme.lower() == "bearer"


def _is_this_machine(host: str) -> bool:
    """Whether a Host header, its port aside, can only mean this machine."""
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.split(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
