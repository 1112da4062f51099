"""How processes end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psutil
import ray
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from streamdyn.cluster.messages import Vitals
from streamdyn.errors import redact


def cause_of_death(error: RayError, who: str) -> str:
    """What ended a process, as far as Ray knows."""
    if isinstance(error, RayTaskError):
        return f"{who} failed: {redact(repr(error.cause))}"
    if isinstance(error, ActorUnavailableError):
        return f"{who} cannot be reached"
    if isinstance(error, OutOfMemoryError):
        return f"{who} died: the node ran out of memory"
    if "its node has died" in str(error):
        return f"{who} died with its node"
    return f"{who} died: its process was killed, or crashed"


def end(actor: Any, vitals: Vitals | None) -> None:
    """End the process of an actor, whatever it does.

    Ray asks it to end. One that was stopped cannot hear that, and is killed by its id.

    Args:
        vitals: its last ones; None: it never told any.
    """
    ray.kill(actor)
    if vitals is None:
        return
    if vitals.node == ray.get_runtime_context().get_node_id():
        _kill(vitals.pid)
        return
    there = NodeAffinitySchedulingStrategy(vitals.node, soft=False)
    task: Any = ray.remote(_kill)
    task.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(vitals.pid)


def _kill(pid: int) -> None:
    with suppress(psutil.Error):  # it is gone
        process = psutil.Process(pid)
        if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::"):
            process.kill()
