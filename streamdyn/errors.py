"""What goes wrong because of input, not of code. Every message names the thing, and the remedy.

StreamdynError          shown to the user as one line, without a traceback
├── SourceError         a source cannot be opened, or was lost
├── ModelError          a model, its card or its postprocessing cannot be used
├── PolicyError         a policy cannot be built
└── SinkError           results cannot be written or read back
"""

import re
from typing import Literal

# Why a source cannot be read, in a word for programs. "protocol": it leads to an address that a
# network source must not follow, such as a local file.
Cause = Literal[
    "timeout", "refused", "authentication", "not found", "codec", "stalled", "lost", "protocol"
]

# Up to the last @ before a slash; or, behind a colon that starts no port, the last @ at all: a
# password may hold an @ or a slash.
_CREDENTIALS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?:[^/\s]*@|[^/\s:]*:(?!\d+(?:[/?#\s]|$))\S*@)",
    re.IGNORECASE,
)
_TOKENS = re.compile(
    r"(?P<key>[?&;][^=&\s]*(?:token|key|password|passwd|pwd|secret|auth|sig|signature)[^=&\s]*=)"
    r"[^&\s'\"]+",
    re.IGNORECASE,
)


class StreamdynError(Exception):
    """A failure that the user can mend; its text says how. Credentials in URLs never show."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class SourceError(StreamdynError):
    """A source cannot be opened, or was lost; `cause` says why, None if for another reason."""

    def __init__(self, message: str, cause: Cause | None = None) -> None:
        super().__init__(message)
        self.cause = cause


class ModelError(StreamdynError):
    """A model, its card or its postprocessing cannot be used."""


class PolicyError(StreamdynError):
    """A policy cannot be built."""


class SinkError(StreamdynError):
    """Results cannot be written or read back."""


def redact(text: str) -> str:
    """Hide user names, passwords and tokens in the URLs of a text.

    >>> redact("cannot open rtsp://admin:secret@10.0.0.8/door")
    'cannot open rtsp://***@10.0.0.8/door'
    """
    return _TOKENS.sub(r"\g<key>***", _CREDENTIALS.sub(r"\g<scheme>***@", text))
