"""Workers that are killed: what that costs, and that it changes nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.streams.fleet import START_SECONDS, Fleet
from streamdyn.bench.streams.setting import BENCH, Setting
from streamdyn.specs import EngineSettings, ModelSpec

ASKED_TIME = Asked(1.5, at_most=True)
ASKED_NONE = Asked(0.0, at_most=True)
FILES = 4
POLICY = "All"  # so that there is time to kill
END_SECONDS = 900.0

Records = Mapping[str, Sequence[Mapping[str, Any]]]  # by stream


@dataclass(frozen=True, slots=True)
class _Run:
    seconds: float  # from the first result to the end
    records: Records
    kills: int


def measure_killed(setting: Setting) -> Iterator[Measurement]:
    """The same run undisturbed and with kills, with one worker and with two."""
    for workers in (1, 2):
        yield from measure_kills(setting, workers)


def measure_kills(setting: Setting, workers: int) -> Iterator[Measurement]:
    """The same run undisturbed and with kills, of so many workers."""
    clips, spec = setting.files(FILES), setting.network(setting.heavy)
    threads = max((os.cpu_count() or 1) // workers, 1)
    engines = EngineSettings(workers=workers, threads=threads)
    setting.say(f"killed: {workers} worker{'s' * (workers > 1)}, undisturbed and not")
    quiet = _run(setting, spec, f"quiet-{workers}", engines, clips)
    disturbed = _run(setting, spec, f"killed-{workers}", engines, clips, setting.kills)
    case = (
        f"{FILES * setting.kill_frames} frames in {FILES} files, {setting.heavy}, "
        f"{workers} worker{'s' * (workers > 1)} killed {disturbed.kills} times"
    )
    about: dict[str, str | float] = {
        "undisturbed_seconds": quiet.seconds,
        "disturbed_seconds": disturbed.seconds,
        "kills": disturbed.kills,
    }
    for metric, value, unit, asked in (
        ("time over that undisturbed", disturbed.seconds / quiet.seconds, "ratio", ASKED_TIME),
        ("frames not told of exactly once", not_once(disturbed.records, setting.kill_frames),
         "frames", ASKED_NONE),
        ("results unlike those undisturbed", unequal(disturbed.records, quiet.records),
         "frames", ASKED_NONE),
    ):  # fmt: skip
        yield Measurement.of(BENCH, case, metric, unit, [value], asked=asked, about=about)


def _run(
    setting: Setting, spec: ModelSpec, name: str, engines: EngineSettings, clips: Sequence[Path],
    kills: int = 0,
) -> _Run:  # fmt: skip
    killed: set[int] = set()
    with Fleet(setting, name, spec, POLICY, engines) as fleet:
        names = fleet.add(clips, max_frames=setting.kill_frames)
        start = fleet.wait(lambda: fleet.meter.saw(names[:1]), "the first result", START_SECONDS)
        due, frames = start + setting.kill_seconds, 0
        while not fleet.supervisor.wait(timeout=0.05) and monotonic() < start + END_SECONDS:
            now, told = monotonic(), fleet.meter.total().frames
            ready = now >= due and told > frames  # one that computed nothing yet is spared
            if len(killed) < kills and ready and _kill_one(fleet, killed):
                due, frames = now + setting.kill_seconds, told
        seconds = monotonic() - start
    return _Run(seconds, {name: _read(fleet.folder / name) for name in names}, len(killed))


def _kill_one(fleet: Fleet, killed: set[int]) -> bool:
    """Kill a worker that runs and holds streams, if there is one; return whether."""
    for worker in fleet.actors("worker"):
        if worker.streams and worker.pid not in killed:
            killed.add(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)
            return True
    return False


def _read(folder: Path) -> list[dict[str, Any]]:
    """The results of a stream, without what the clock says of them."""
    path = folder / "results.jsonl"
    if not path.exists():  # the stream failed before its first result
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    for record in records:
        del record["latency_seconds"]
    return records


def not_once(found: Records, frames: int) -> int:
    """How many frames are missing, and how many too many there are."""
    wrong = 0
    for records in found.values():
        indices = [record["index"] for record in records]
        wrong += len(indices) - len(set(indices)) + len(set(range(frames)) ^ set(indices))
    return wrong


def unequal(found: Records, expected: Records) -> int:
    return sum(
        a != b for name in expected for a, b in zip(found[name], expected[name], strict=False)
    )
