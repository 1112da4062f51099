"""Runs in which something is broken from the beginning, or stands still."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamdyn import SinkError
from streamdyn.sinks import Sink
from tests.cluster_kit import small_model, street
from tests.fleet_kit import Fleet

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def fleet(ray_cluster, tmp_path: Path) -> Fleet:
    return Fleet(tmp_path / "out", ray_cluster.address, small_model(tmp_path))


class Stillborn:
    """A worker whose process ends before it runs."""

    def __init__(self, threads: int, folder: str) -> None:
        os._exit(1)

    async def load(self, model: object) -> None: ...
    async def vitals(self) -> None: ...


def test_workers_that_never_run_are_given_up(fleet, monkeypatch):
    monkeypatch.setattr("streamdyn.cluster.pool.Worker", Stillborn)
    monkeypatch.setattr("streamdyn.cluster.pool.FIRST_WAIT_SECONDS", 0.05)
    with fleet.supervisor:
        fleet.add("cam", street(10))
        fleet.finish("cam")
        assert "workers in a row ended before they ran" in fleet.stream("cam").error


class Full(Sink):
    """A disk with no room."""

    wants_frame = False

    def __call__(self, prediction, frame):
        raise SinkError("the disk is full")

    def close(self):
        pass


def test_engines_forget_streams_that_nobody_decodes(fleet):
    with fleet.supervisor:
        fleet.add("cam", street(1000), save=(lambda folder: Full(),))
        fleet.finish("cam")
        assert fleet.stream("cam").error == "the disk is full"
        (worker,) = fleet.actors("worker")
        fleet.supervisor.drain_worker(worker.name)  # it ends when its engine holds no stream
        fleet.wait(lambda: worker.name not in [actor.name for actor in fleet.actors("worker")])


PAUSED = """
import os, signal, subprocess, sys, time
from pathlib import Path
import streamdyn.cluster.pool as pool, streamdyn.cluster.runs as runs
from streamdyn.cluster import Supervisor
from tests.cluster_kit import small_model, street
from tests.fleet_kit import Fleet

runs.SILENT_SECONDS = pool.SILENT_SECONDS = 1.5
fleet = Fleet(Path(sys.argv[1]) / "out", sys.argv[2], small_model(Path(sys.argv[1])))
with fleet.supervisor:
    fleet.add("cam", street(100000))
    fleet.wait_computed("cam", 20)
    subprocess.Popen(["/bin/sh", "-c", f"sleep 4; kill -CONT {os.getpid()}"])
    os.kill(os.getpid(), signal.SIGSTOP)
    before = fleet.computed("cam")
    fleet.wait_computed("cam", before + 20)
    print("crashes", fleet.stream("cam").crashes)
"""


def test_who_was_stopped_blames_nobody(ray_cluster, tmp_path):
    command = [sys.executable, "-c", PAUSED, str(tmp_path), ray_cluster.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert "crashes 0" in done.stdout, done.stderr
