"""How many processes, with how many threads, where the user does not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamdyn.specs import EngineSettings, Resources

THREADS = 4  # of a worker: with more, they wait for each other more than they gain
FOR_ENGINES = 0.75  # of many cores; the rest decodes


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many workers, and of how many threads each."""

    workers: int
    threads: int


def sizes(settings: EngineSettings, cores: int, streams: int = 1) -> Sizes:
    """What the settings say, and for the rest what suits a machine or cluster of `cores`.

    A few cores with as many streams get a worker each: that gives more frames in all, and a worker
    that is lost costs less. Else two cores get one worker of two threads, 64 twelve of four.
    """
    if settings.threads:
        threads = settings.threads
    elif settings.workers:
        threads = min(max(cores // settings.workers, 1), THREADS)
    elif cores <= min(streams, THREADS):
        threads = 1
    else:
        threads = min(max(cores, 1), THREADS)
    if settings.workers:
        return Sizes(settings.workers, threads)
    share = cores if cores <= THREADS else FOR_ENGINES * cores
    return Sizes(max(int(share // threads), 1), threads)


def actor_options(resources: Resources, cpus: float) -> dict[str, Any]:
    """What Ray is asked to keep free for a process, and what it is told not to do.

    Args:
        cpus: where the resources do not say.
    """
    return {
        "num_cpus": cpus if resources.num_cpus is None else resources.num_cpus,
        "num_gpus": resources.num_gpus,
        "resources": dict(resources.others) or None,
        "scheduling_strategy": "SPREAD",
        # A process that is lost takes the state of its streams with it: whoever starts another
        # must know, to begin these anew.
        "max_restarts": 0,
        "max_task_retries": 0,
    }
