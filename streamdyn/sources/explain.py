"""What FFmpeg's errors mean, in plain words and in a word for programs."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import av

from streamdyn.errors import Cause
from streamdyn.sources.mp4 import lacks_index

NO_INDEX = (
    "this MP4 has no index (moov), or only a part of it, so it was cut off while it was written or "
    "copied; copy it again, or rebuild it with a tool such as untrunc"
)

# In a playlist, an address of another kind than HTTP: at the beginning of a line, or as an option.
_OTHER_PROTOCOL = re.compile(r'(?:^|URI=")(?!https?:)([a-z][a-z0-9+.-]*)[:,]', re.MULTILINE)
_PLAYLIST_BYTES = 1 << 20


class Reason(NamedTuple):
    """Why something cannot be read, and what to do."""

    text: str
    cause: Cause | None = None


def explain_file(error: av.FFmpegError, path: Path) -> Reason:
    """Why a local file cannot be read."""
    match error:
        case av.error.FileNotFoundError():
            return Reason("there is nothing of this name; check the spelling", "not found")
        case av.error.PermissionError():
            return Reason("reading it is not permitted; check its permissions")
        case av.error.InvalidDataError() | av.error.EOFError():
            return _invalid_file(path)
        case av.error.OSError(errno=errno.EIO):
            return Reason("it was cut off, or its disk has a bad spot; copy it again")
    return _in_its_own_words(error)


def explain_address(
    error: av.FFmpegError, url: str, options: Mapping[str, str], timeout_seconds: float | None
) -> Reason:
    """Why an address cannot be read."""
    match error:
        case av.error.ExitError() | av.error.TimeoutError():
            # Of a live playlist without a part that it may open, FFmpeg waits for more.
            stolen = urlsplit(url).path.endswith(".m3u8") and _stolen(url, options, timeout_seconds)
            return stolen or Reason(
                f"it did not answer within {timeout_seconds:g} s; look whether it is on "
                "and reachable, or allow it a longer timeout",
                "timeout",
            )
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
            return Reason(
                "it refuses access; check the user name and password in the URL", "authentication"
            )
        case av.error.HTTPNotFoundError() | av.error.FileNotFoundError():
            return Reason("there is nothing of this name; check the spelling", "not found")
        case (
            av.error.ConnectionRefusedError()
            | av.error.OSError(errno=errno.EHOSTUNREACH | errno.ENETUNREACH)
        ):
            return Reason("nothing answers at this address and port; check both", "refused")
        case av.error.OSError(errno=errno.EIO) if not _has_host(url):
            return Reason("there is no host of this name; check the spelling", "not found")
        case av.error.ConnectionResetError() | av.error.BrokenPipeError() | av.error.EOFError():
            return Reason("it closed the connection", "lost")
        case av.error.ArgumentError() if _is_http(url):
            return Reason(
                "it leads to an address of another protocol, which must not be followed", "protocol"
            )
        case av.error.InvalidDataError():
            return _stolen(url, options, timeout_seconds) or Reason(
                "it sends no video that FFmpeg knows; check the address", "codec"
            )
    return _in_its_own_words(error)


def _in_its_own_words(error: av.FFmpegError) -> Reason:
    return Reason(f"FFmpeg says {(error.strerror or str(error)).lower()!r}")


def _invalid_file(path: Path) -> Reason:
    size = path.stat().st_size
    if not size:
        return Reason("the file is empty; copy or record it again")
    if lacks_index(path):
        return Reason(NO_INDEX)
    return Reason(
        f"it is no video that FFmpeg knows, whatever its name says ({size} bytes); "
        "check that it is the right file, and whole",
        "codec",
    )


def _stolen(url: str, options: Mapping[str, str], timeout_seconds: float | None) -> Reason | None:
    """Whether it is a playlist of what must not be opened; of its error FFmpeg does not tell."""
    if not _is_http(url):
        return None
    text = _read_text(url, options, timeout_seconds)
    found = _OTHER_PROTOCOL.search(text) if text.startswith("#EXTM3U") else None
    return found and Reason(
        f"its playlist leads to {found[1]}:, which a playlist from the network must not", "protocol"
    )


def _read_text(url: str, options: Mapping[str, str], timeout_seconds: float | None) -> str:
    data = bytearray()
    try:
        with av.open(url, format="data", options=dict(options), timeout=timeout_seconds) as raw:
            for packet in raw.demux():
                data += bytes(packet)
                if len(data) > _PLAYLIST_BYTES:
                    break
    except av.FFmpegError:
        pass  # what came until then tells, or nothing does
    return data.decode(errors="replace")


def _is_http(url: str) -> bool:
    return urlsplit(url).scheme.lower() in ("http", "https")


def _has_host(url: str) -> bool:
    try:
        return bool(socket.getaddrinfo(urlsplit(url).hostname, None))
    except (OSError, ValueError):
        return False
