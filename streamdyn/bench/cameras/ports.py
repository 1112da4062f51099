"""TCP ports of this machine, and the URLs of what is there."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from urllib.parse import quote

HOST = "127.0.0.1"


def local_url(scheme: str, port: int, path: str, *, user: str = "", password: str = "") -> str:
    """A URL of this machine, with credentials only if they are given."""
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"{scheme}://{credentials}{HOST}:{port}/{path}"


def answers(port: int) -> bool:
    """Whether something accepts connections on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def free_port() -> int:
    """A TCP port on which nothing listens, and which stays free while a server is down.

    It is none that the kernel gives to clients: one of them, trying to reconnect to a server that
    is down, would now and then reach itself.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(first - 10_000, first), 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port found among those below {first}")
