"""Show how fast the streams of a run are, and what limits each."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from streamdyn.errors import StreamdynError

TOKEN = "STREAMDYN_TOKEN"
TIMEOUT_SECONDS = 10.0
LARGEST = 64 << 20  # bytes of a status
OLD_SECONDS = 5.0  # a run that goes on writes it anew each second


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "where",
        metavar="FILE|URL",
        help="the file of --status, or the address of serve, such as http://127.0.0.1:8765; its "
        f"token is taken from the variable {TOKEN}",
    )


def run(options: argparse.Namespace) -> int:
    """Show the table and a line per stream; return 1 if a stream failed."""
    from rich.console import Console

    from streamdyn.status import parse_status
    from streamdyn.status.table import Explanations, StatusTable

    where = options.where
    text = _fetch(where) if where.startswith(("http://", "https://")) else Path(where).read_bytes()
    status = parse_status(text, where)
    console = Console()
    console.print(StatusTable(status))
    console.print(Explanations(status), soft_wrap=True)
    age = time.time() - status.at
    if age > OLD_SECONDS:
        console.print(f"as of {age:.0f} s ago: the run is over, or hangs", highlight=False)
    return 1 if any(stream.state == "failed" for stream in status.streams) else 0


def _fetch(url: str) -> bytes:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    token = os.environ.get(TOKEN)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(f"{url.rstrip('/').removesuffix('/status')}/status", headers=headers)
    try:
        with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            text: bytes = answer.read(LARGEST)
    except HTTPError as error:
        error.close()
        hint = f"; set {TOKEN} to its token" if error.code == 401 else ""
        raise StreamdynError(f"{url} answers {error.code} {error.reason}{hint}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise StreamdynError(f"{url} does not answer: {error}") from None
    return text
