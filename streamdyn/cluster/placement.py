"""Which worker holds which stream."""

from __future__ import annotations

from collections.abc import Mapping

WORTH = 0.25  # of the mean load of a worker: smaller differences are not worth a move

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
    most to the least loaded worker, as long as that makes the larger of the two loads smaller.
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
        movable = {stream: load for stream, load in held[most].items() if 0 < load < gap}
        if gap <= worth or not movable:
            break
        stream = min(movable, key=lambda stream: (abs(gap / 2 - movable[stream]), stream))
        if stream in found:  # it would go back
            break
        held[least][stream] = held[most].pop(stream)
        found[stream] = least
    return found
