"""The status as JSON: in a file that is written anew all the time, and read back."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Self

from streamdyn.errors import StreamdynError
from streamdyn.status.figures import RunStatus, to_dict

log = logging.getLogger(__name__)


class StatusFile:
    """Writes the status to a file once a second, and at the end; whoever reads it sees it whole.

    Args:
        read: gives the status; called in a thread of its own.

    Raises:
        StreamdynError: on entering, the file cannot be written.
    """

    def __init__(self, path: Path, read: Callable[[], RunStatus], seconds: float = 1.0) -> None:
        self._path = path
        self._read = read
        self._seconds = seconds
        self._over = Signal()
        self._thread = Thread(target=self._keep, name="status file", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._write()
        except OSError as error:
            raise StreamdynError(
                f"cannot write the status to {self._path}: {error.strerror}; name a file in a "
                "folder that is there and may be written"
            ) from None
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._try_to_write()

    def _keep(self) -> None:
        while not self._over.wait(self._seconds):
            self._try_to_write()

    def _try_to_write(self) -> None:
        """A full disk must not end what runs."""
        try:
            self._write()
        except OSError as error:
            log.warning("cannot write the status to %s: %s", self._path, error.strerror)

    def _write(self) -> None:
        text = json.dumps(to_dict(self._read()), indent=1, allow_nan=False) + "\n"
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(self._path)
        finally:
            beside.unlink(missing_ok=True)


def parse_status(text: str | bytes, where: str) -> RunStatus:
    """Read a status back from its JSON.

    Args:
        where: it was found, for the error.

    Raises:
        StreamdynError: it is no status.
    """
    from pydantic import TypeAdapter, ValidationError  # slow to import

    try:
        return TypeAdapter(RunStatus).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise StreamdynError(
            f"{where} holds no status of a run: {place + ': ' if place else ''}{first['msg']}; "
            "give a file written by --status, or the address of serve"
        ) from None
