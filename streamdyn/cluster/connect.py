"""A Ray cluster: one of our own on this machine, or one that runs already."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from streamdyn.errors import StreamdynError

# What is smaller travels with the call; what is larger takes the way by shared memory, which costs
# a millisecond more. The computed blocks of a picture are a few hundred kilobytes.
INLINE_BYTES = 1 << 20
REACH_SECONDS = 5.0  # for the head of a cluster to accept a connection
STORE_BYTES = 256 << 20  # shared memory of a cluster of our own: little is ever on its way


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to a cluster, and disconnect at the end; one of our own ends then.

    Args:
        address: "local" starts one on this machine, "auto" finds one that runs on it, anything
            else is the address of one.

    Raises:
        StreamdynError: there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Inherited by the processes of a cluster of our own: where each of many threads has memory
    # of its own, that of decoders grows with every connection.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if ray.is_initialized():
        raise StreamdynError("this process is connected to a Ray cluster already")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    if address not in ("local", "auto"):
        _require_reachable(address)
    try:
        if address == "local":
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                _system_config={"max_direct_call_object_size": INLINE_BYTES},
                **quiet,
            )
        else:
            ray.init(address=address, **quiet)
    except Exception as error:  # Ray raises that very type where a node does not come up in time
        raise _not_there(address, str(error)) from None
    if on_sigterm is not None and threading.current_thread() is threading.main_thread():
        # Ray put its own there, which reports a crash and leaves no time to write results.
        signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        ray.shutdown()


def _require_reachable(address: str) -> None:
    """Refuse an address where nobody listens; Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), REACH_SECONDS).close()
    except ValueError:
        raise _not_there(address, "an address is HOST:PORT") from None
    except OSError as error:
        raise _not_there(address, error.strerror or str(error)) from None


def _not_there(address: str, reason: str) -> StreamdynError:
    return StreamdynError(
        f"cannot connect to a Ray cluster at {address!r}: {reason}; give --ray local to start one "
        "here, or the address of one that runs"
    )
