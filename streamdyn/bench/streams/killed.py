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
    clips, spec = setting.files(FILES), setting.network(setting.heavy)
    cores = os.cpu_count() or 1
    for workers in (1, 2):
        engines = EngineSettings(workers=workers, threads=max(cores // workers, 1))
        setting.say(f"killed: {workers} worker{'s' * (workers > 1)}, undisturbed and not")
        quiet = _run(setting, spec, f"quiet-{workers}", engines, clips, disturbed=False)
        disturbed = _run(setting, spec, f"killed-{workers}", engines, clips, disturbed=True)
        frames = FILES * setting.kill_frames
        case = (
            f"{frames} frames in {FILES} files, {setting.heavy}, {disturbed.kills} kills "
            f"of {workers} worker{'s' * (workers > 1)}"
        )
        about = {"undisturbed": quiet.seconds, "disturbed": disturbed.seconds}
        yield Measurement.of(
            BENCH, case, "time over that undisturbed", "ratio",
            [disturbed.seconds / quiet.seconds], asked=ASKED_TIME, about=about,
        )  # fmt: skip
        wrong = _not_once(disturbed.records, setting.kill_frames)
        yield Measurement.of(
            BENCH, case, "frames not told of exactly once", "frames", [wrong], asked=ASKED_NONE
        )
        unequal = _unequal(disturbed.records, quiet.records)
        yield Measurement.of(
            BENCH, case, "results unlike those undisturbed", "frames", [unequal], asked=ASKED_NONE
        )


def _run(
    setting: Setting, spec: ModelSpec, name: str, engines: EngineSettings, clips: Sequence[Path],
    *, disturbed: bool,
) -> _Run:  # fmt: skip
    kills = 0
    with Fleet(setting, name, spec, POLICY, engines) as fleet:
        names = fleet.add(clips, max_frames=setting.kill_frames)
        start = fleet.wait(lambda: fleet.meter.saw(names[:1]), "the first result", START_SECONDS)
        due = start + setting.kill_seconds
        while not fleet.supervisor.wait(timeout=0.05) and monotonic() < start + END_SECONDS:
            if disturbed and monotonic() >= due:
                kills += _kill_one(fleet)
                due += setting.kill_seconds
        seconds = monotonic() - start
    return _Run(seconds, {name: _read(fleet.folder / name) for name in names}, kills)


def _kill_one(fleet: Fleet) -> int:
    """Kill the worker that has been there longest; return how many were killed."""
    workers = [actor for actor in fleet.actors("worker") if actor.streams]
    if not workers:  # the next is being started
        return 0
    os.kill(workers[0].pid, signal.SIGKILL)
    return 1


def _read(folder: Path) -> list[dict[str, Any]]:
    """The results of a stream, without what the clock says of them."""
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    for record in records:
        del record["latency_seconds"]
    return records


def _not_once(found: Records, frames: int) -> int:
    """How many frames are missing, and how many too many there are."""
    wrong = 0
    for records in found.values():
        indices = [record["index"] for record in records]
        wrong += len(indices) - len(set(indices)) + len(set(range(frames)) ^ set(indices))
    return wrong


def _unequal(found: Records, expected: Records) -> int:
    return sum(
        a != b for name in expected for a, b in zip(found[name], expected[name], strict=False)
    )
