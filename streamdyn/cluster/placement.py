"""Which worker holds which stream."""

from __future__ import annotations

from collections.abc import Mapping

WORTH = 0.1  # of the mean load of a worker: what a move must take from the larger of two loads

Loads = Mapping[str, Mapping[str, float]]  # of each stream, by worker and by stream


def place(loads: Loads) -> str:
    """The worker for one more stream: the least loaded, of several that with fewest streams.

    Raises:
        ValueError: there is no worker.
    """
    return min(loads, key=lambda worker: (sum(loads[worker].values()), len(loads[worker]), worker))


def moves(loads: Loads) -> dict[str, str]:
    """The streams to move, and where to, for workers that are about equally loaded.

    Moving costs a picture computed whole, so that few streams are moved, one at a time from the
    most to the least loaded worker, as long as that makes the larger of the two loads much smaller.
    """
    held = {worker: dict(streams) for worker, streams in loads.items()}
    found: dict[str, str] = {}
    if not held:
        return found
    worth = WORTH * sum(sum(streams.values()) for streams in held.values()) / len(held)
    for _ in range(sum(map(len, held.values()))):
        totals = {worker: sum(streams.values()) for worker, streams in held.items()}
        most = max(totals, key=lambda worker: (totals[worker], worker))
        least = min(totals, key=lambda worker: (totals[worker], worker))
        gap = totals[most] - totals[least]
        gains = {stream: min(load, gap - load) for stream, load in held[most].items()}
        stream = max(gains, key=lambda stream: (gains[stream], stream), default=None)
        if stream is None or gains[stream] <= worth or stream in found:  # that would go back
            break
        held[least][stream] = held[most].pop(stream)
        found[stream] = least
    return found
