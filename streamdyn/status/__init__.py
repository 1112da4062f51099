"""What runs, and how well: the figures of streams and of the processes that compute them.

The same values stand in the live table, the status file, the HTTP API, the metrics and the final
summary. They are plain; whoever runs streams fills them in.
"""

from __future__ import annotations

from streamdyn.status.account import Account
from streamdyn.status.explain import explain
from streamdyn.status.figures import (
    ActorStatus,
    Event,
    Limit,
    Rates,
    RunStatus,
    StreamState,
    StreamStatus,
    to_dict,
)
from streamdyn.status.file import StatusFile, parse_status

__all__ = [
    "Account",
    "ActorStatus",
    "Event",
    "Limit",
    "Rates",
    "RunStatus",
    "StatusFile",
    "StreamState",
    "StreamStatus",
    "explain",
    "parse_status",
    "to_dict",
]
