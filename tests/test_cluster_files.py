"""Recordings on a cluster whose processes die: every frame once, with the result it had anyway."""

from __future__ import annotations

import signal
from collections.abc import Generator
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from streamdyn.cluster.crashes import AT_ONE_PLACE_SHARED
from streamdyn.errors import StreamdynError
from streamdyn.status import Account
from tests.cluster_kit import small_model, street
from tests.fleet_kit import PATIENCE, Fleet, slowly

pytestmark = pytest.mark.timeout(240)
FRAMES = 150
SEEDS = (1, 2)


@pytest.fixture(scope="module")
def fleet(ray_cluster, tmp_path_factory) -> Generator[Fleet]:
    folder = tmp_path_factory.mktemp("files")
    fleet = Fleet(folder / "out", ray_cluster.address, small_model(folder))
    with fleet.supervisor:
        yield fleet


@pytest.fixture(scope="module")
def quiet(fleet: Fleet) -> dict[int, list[dict]]:
    """What the streams give where nothing breaks, by their seed."""
    for seed in SEEDS:
        fleet.add(f"quiet-{seed}", street(FRAMES, seed))
    fleet.finish(*(f"quiet-{seed}" for seed in SEEDS))
    found = {seed: fleet.records(f"quiet-{seed}") for seed in SEEDS}
    assert all(len(records) == FRAMES for records in found.values())
    return found


def assert_whole(fleet: Fleet, name: str, expected: list[dict]) -> None:
    """Every frame is there once, as it would have been, and counted once."""
    assert fleet.records(name) == expected
    status = fleet.stream(name)
    assert status.state == "ended"
    reused = sum(record["status"] == "reused" for record in expected)
    assert status.account == Account(computed=len(expected) - reused, reused=reused)
    summary = next(s for s in fleet.supervisor.summaries if s.stream == name)
    assert (summary.decoded, summary.dropped) == (len(expected), 0)
    assert (summary.captured, summary.journey.failed) == (len(expected), 0)
    assert (summary.computed, summary.reused) == (len(expected) - reused, reused)


def test_workers_that_die_or_hang_change_nothing(fleet, quiet, monkeypatch):
    monkeypatch.setattr("streamdyn.cluster.pool.SILENT_SECONDS", 2.0)
    names = {seed: f"worker-{seed}" for seed in SEEDS}
    for seed, name in names.items():
        fleet.add(name, street(FRAMES, seed))
    fleet.wait_computed(names[1], 20)
    fleet.signal_worker(signal.SIGKILL)
    fleet.wait_computed(names[1], 70)
    fleet.signal_worker(signal.SIGSTOP)
    fleet.finish(*names.values())
    for seed, name in names.items():
        assert_whole(fleet, name, quiet[seed])
        fleet.wait(lambda name=name: fleet.causes(name).count("worker lost") == 2)
        assert fleet.stream(name).crashes == 2


def test_a_decoder_that_dies_or_hangs_changes_nothing(fleet, quiet, monkeypatch, capsys):
    monkeypatch.setattr("streamdyn.cluster.runs.SILENT_SECONDS", 2.0)
    fleet.add("killed", street(FRAMES, 1), save=("jsonl", "parquet"))
    fleet.add("other", street(FRAMES, 2))
    for count, number in ((20, signal.SIGKILL), (60, signal.SIGSTOP), (100, signal.SIGKILL)):
        fleet.wait_computed("killed", count)
        fleet.signal_decoder("killed", number)
    fleet.finish("killed", "other")
    assert_whole(fleet, "killed", quiet[1])
    assert_whole(fleet, "other", quiet[2])
    table = parquet.read_table(fleet.output / "killed" / "results.parquet")
    assert sorted(set(table["index"].to_pylist())) == list(range(FRAMES))
    assert fleet.stream("other").crashes == 0
    assert fleet.stream("killed").crashes == 3
    assert capsys.readouterr() == ("", "")  # nothing of Ray's own


def test_the_last_worker_that_is_drained_is_replaced_first(fleet, quiet):
    fleet.add("drained", street(FRAMES, 1))
    fleet.wait_computed("drained", 10)
    (last,) = fleet.actors("worker")
    fleet.supervisor.drain_worker(last.name)
    fleet.finish("drained")
    assert_whole(fleet, "drained", quiet[1])
    fleet.wait(lambda: last.name not in [actor.name for actor in fleet.actors("worker")])


def test_a_stream_that_is_removed_leaves_what_it_had(fleet, quiet):
    fleet.add("removed", street(FRAMES, 1), slowly(0.05))
    fleet.wait_computed("removed", 5)
    fleet.stop("removed")
    records = fleet.records("removed")
    assert 5 <= len(records) < FRAMES
    assert records == quiet[1][: len(records)]
    assert fleet.stream("removed").state == "stopped"
    with pytest.raises(KeyError):
        fleet.supervisor.remove("nobody")


CRASHING = """
import ctypes

from streamdyn.policies import Change

class Crashing(Change):
    def decide(self, frame, state):
        if frame.index == 7:
            ctypes.string_at(0)  # a segmentation fault, as of a native library
        return super().decide(frame, state)
"""


def test_a_stream_that_crashes_its_decoder_is_given_up(fleet, quiet, tmp_path: Path):
    policy = tmp_path / "crashing.py"
    policy.write_text(CRASHING)
    bad, good = "bad", "good"
    fleet.add(bad, street(FRAMES, 1), f"{policy}:Crashing(threshold=4)")
    fleet.add(good, street(FRAMES, 2))
    fleet.finish(bad, good)
    status = fleet.stream(bad)
    assert status.state == "failed"
    assert "the decoder died" in status.error
    assert "crashes in" in status.error
    assert status.crashes >= 3
    fleet.wait(lambda: fleet.causes(bad).count("decoder lost") == status.crashes - 1)
    records = fleet.records(bad) if (fleet.output / bad).exists() else []
    assert records == quiet[1][: len(records)]
    assert len(records) <= 7
    assert_whole(fleet, good, quiet[2])
    assert fleet.stream(good).crashes == 0


def test_a_model_that_crashes_the_worker_is_found_and_given_up(fleet, quiet, tmp_path: Path):
    model = small_model(tmp_path)
    (tmp_path / "net.py").write_text("import os\n\n\ndef net():\n    os.abort()\n")
    fleet.add("victim", street(FRAMES, 1))
    fleet.add("culprit", street(FRAMES, 2), model=model)
    fleet.finish("victim", "culprit")
    assert fleet.stream("culprit").state == "failed"
    assert "the worker died" in fleet.stream("culprit").error
    assert fleet.stream("culprit").crashes == AT_ONE_PLACE_SHARED
    assert_whole(fleet, "victim", quiet[1])


def test_a_run_that_breaks_says_so_and_keeps_what_it_had(fleet, quiet, monkeypatch):
    """Runs last: it breaks what all tests before shared."""

    def breaks(self):
        raise ZeroDivisionError("a fault of the code")

    fleet.add("broken", street(FRAMES, 1), slowly(0.05))
    fleet.wait_computed("broken", 5)
    monkeypatch.setattr("streamdyn.cluster.dispatcher.Dispatcher.turn", breaks)
    with pytest.raises(StreamdynError, match="a fault of the code"):
        fleet.supervisor.wait(PATIENCE)
    fleet.supervisor.__exit__(None, None, None)
    records = fleet.records("broken")
    assert records == quiet[1][: len(records)]
    assert 5 <= len(records) < FRAMES
    status = fleet.stream("broken")
    assert status.state == "failed"
    assert "a fault of the code" in status.error
