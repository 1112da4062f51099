"""The command on a cluster of its own, ended from outside: nothing is lost, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from streamdyn.bench.cameras import Camera
from tests.cluster_kit import small_model
from tests.fleet_kit import PATIENCE, gone
from tests.media_factory import write_video

pytestmark = pytest.mark.timeout(180)
STOP_SECONDS = 15.0  # a machine that does nothing else takes a third
PASSWORD = "hush-4711-hush"
ENDLESS = "synthetic:street?width=128&height=96&frames=1000000&seed={}"


class Command:
    """The command in a session of its own, as a terminal starts it."""

    def __init__(self, words: list[str], folder: Path, ray_folder: str) -> None:
        self.output = folder / "printed"
        environment = {**os.environ, "RAY_TMPDIR": ray_folder, "CAMERA_PASSWORD": PASSWORD}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streamdyn", *words],
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        return self.output.read_text()

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.1)

    def end(self, signals: Callable[[], None]) -> int:
        """Tell it to end; return its exit code once nothing that it started is left."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        assert len(family) > 3  # those of Ray, a worker, decoders
        start = time.monotonic()
        signals()
        code = self.process.wait(STOP_SECONDS)
        while left := [process for process in family if not gone(process.pid)]:
            assert time.monotonic() - start < STOP_SECONDS, left
            time.sleep(0.1)
        return code


@pytest.fixture
def command(tmp_path) -> Generator[Callable[..., Command]]:
    """Starts commands, whose clusters keep their files in `command.ray_folder`."""
    started = []
    with tempfile.TemporaryDirectory() as ray_folder:

        def start(*words: str) -> Command:
            started.append(Command(list(words), tmp_path, ray_folder))
            return started[-1]

        start.ray_folder = Path(ray_folder)
        yield start
        for one in started:
            one.process.kill()
            one.process.wait()


def lines(file: Path) -> list[dict]:
    """The results in a file, each of them whole."""
    text = file.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_ctrl_c_ends_a_run_with_all_results(command, tmp_path):
    sources = [ENDLESS.format(seed) for seed in (1, 2)]
    words = ["--model", small_model(tmp_path).spec, "--policy", "Change(threshold=4)"]
    run = command("run", *sources, *words, "--ray", "local", "--out", "out", "--status", "now.json")
    files = [tmp_path / "out" / "street" / "results.jsonl"]
    run.wait(lambda: len(list(tmp_path.glob("out/*/results.jsonl"))) == 2)
    files = list(tmp_path.glob("out/*/results.jsonl"))
    run.wait(lambda: all(file.stat().st_size > 10_000 for file in files))
    code = run.end(lambda: os.killpg(run.process.pid, signal.SIGINT))
    assert code == 130, run.printed
    assert "Traceback" not in run.printed
    summaries = json.loads((tmp_path / "out" / "summary.json").read_text())["streams"]
    streams = json.loads((tmp_path / "now.json").read_text())["streams"]
    for summary, stream in zip(summaries, streams, strict=True):
        records = lines(tmp_path / "out" / summary["stream"] / "results.jsonl")
        assert [record["index"] for record in records] == list(range(len(records)))
        assert summary["computed"] + summary["reused"] == len(records)
        assert stream["account"]["captured"] == len(records)
        assert stream["state"] == "stopped"


CONFIG = """
http: {{port: 0}}
engine: {{workers: 1}}
defaults: {{model: "{model}", policy: Change}}
streams:
  door: {{source: "{door}"}}
  gate: {{source: "{gate}"}}
  yard: {{source: "{yard}"}}
"""


@contextmanager
def no_password(*folders: Path) -> Generator[None]:
    """That nothing in these folders, nor any of their names, holds the password afterwards."""
    yield
    found = [path for folder in folders for path in folder.rglob("*")]
    assert any(path.suffix == ".log" for path in found)  # those of Ray
    for path in found:
        assert PASSWORD not in path.name
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_sigterm_ends_serve_and_no_password_is_told(command, rtsp_server, tmp_path):
    options = {"tune": "zerolatency", "sc_threshold": "0"}
    clip = write_video(tmp_path / "cam.mp4", times=range(0, 4000, 100), gop=5, options=options)
    cameras = {"cam": Camera(clip=clip, running=True)}
    server = rtsp_server(cameras, user="me", password=PASSWORD)
    locked = rtsp_server(cameras, user="me", password="another")
    told = {"user": "me", "password": PASSWORD}
    urls = {
        "door": server.url("cam", **told),
        "gate": locked.url("cam", **told),
        "yard": server.url("nothing", **told),
    }
    config = tmp_path / "cameras.yaml"
    text = CONFIG.format(model=small_model(tmp_path).spec, **urls)
    config.write_text(text.replace(PASSWORD, "${CAMERA_PASSWORD}"))
    with no_password(tmp_path, command.ray_folder):
        serve = command("serve", str(config), "--ray", "local", "--status", "now.json")
        now = tmp_path / "now.json"

        def well_under_way() -> bool:
            if not now.exists():
                return False
            streams = json.loads(now.read_text())["streams"]
            causes = {stream["event"] and stream["event"]["cause"] for stream in streams}
            computed = sum(stream["account"]["computed"] for stream in streams)
            return computed > 20 and {"authentication", "not found"} <= causes

        serve.wait(well_under_way)
        code = serve.end(lambda: os.kill(serve.process.pid, signal.SIGTERM))
        assert code == 130, serve.printed
        assert "Traceback" not in serve.printed
        (results,) = tmp_path.glob("runs/*/door/results.jsonl")
        records = lines(results)
        (door,) = [s for s in json.loads(now.read_text())["streams"] if s["name"] == "door"]
        assert door["account"]["computed"] + door["account"]["reused"] == len(records)
        assert door["state"] == "stopped"
        assert "127.0.0.1" in door["source"]
