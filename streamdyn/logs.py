"""What a process logs, without credentials."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from streamdyn.errors import redact


def redact_logs() -> None:
    """Hide credentials in all that this process logs from now on: messages and tracebacks."""
    logging.setLogRecordFactory(_Redacted)


class _Redacted(logging.LogRecord):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.exc_info and self.exc_info[0] is not None:
            # Formatters take this text, where it is there, for the exception.
            self.exc_text = redact("".join(traceback.format_exception(*self.exc_info)).rstrip())

    def getMessage(self) -> str:  # noqa: N802 - named by logging
        return redact(super().getMessage())
