"""The URL of a receiver, and what of it may be shown."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from streamdyn.errors import SinkError, redact

PORTS = {"mqtt": 1883, "mqtts": 8883, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a receiver listens. As text it is no more than that, for a path can be a secret too."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)  # as it stands in the URL
    query: str = field(repr=False)
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL.

        Raises:
            SinkError: it is none that results can be sent to.
        """
        parts = _split(url)
        if parts.scheme not in PORTS:
            raise SinkError(
                f"results cannot be sent to {url}; a receiver is one of "
                f"{', '.join(f'{scheme}://' for scheme in PORTS)}"
            )
        if not parts.hostname or parts.fragment or re.search(r"[\s\x00-\x1f\x7f]", url):
            raise _unreadable(url)
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=PORTS[parts.scheme] if parts.port is None else parts.port,
            path=parts.path,
            query=parts.query,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    @property
    def secure(self) -> bool:
        """Whether TLS protects what is sent there."""
        return self.scheme in ("mqtts", "https")

    @property
    def file_name(self) -> str:
        """What to call a file that belongs to it: the same after a password has been changed."""
        known = redact(f"{self}{self.path}?{self.query}")
        digest = hashlib.sha256(known.encode("utf-8", "backslashreplace")).hexdigest()[:8]
        return f"{self.scheme}-{re.sub(r'[^a-z0-9.-]', '_', self.host)}-{digest}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no port, as the next line does for what is no host
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise _unreadable(url) from None
    return parts


def _unreadable(url: str) -> SinkError:
    return SinkError(
        f"cannot read the URL {url}; it is SCHEME://[USER:PASSWORD@]HOST[:PORT]/..., "
        "with other signs as in %23 for #"
    )
