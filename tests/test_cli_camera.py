"""The command with cameras: lost, waited for, or given up."""

import json
import threading
from pathlib import Path
from time import sleep

import pytest

from streamdyn.bench.cameras import Camera, RtspServer
from streamdyn.bench.cameras.ports import free_port
from streamdyn.policies import First
from streamdyn.runner import Interrupted, Runner
from streamdyn.sources import Backoff, open_source, reconnecting
from tests.cli_kit import run
from tests.cluster_kit import small_model
from tests.media_factory import write_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("clip") / "cam.mp4"
    return write_video(
        path,
        times=range(0, 4000, 40),
        gop=10,
        options={"tune": "zerolatency", "sc_threshold": "0"},
    )


def test_a_camera_that_is_not_there_fails_at_once(tmp_path, capsys):
    url = f"rtsp://admin:secret@127.0.0.1:{free_port()}/cam"
    out = tmp_path / "out"
    assert run("run", url, "--out", out, "--model", small_model(tmp_path).spec) == 1
    told, summary = capsys.readouterr(), (out / "summary.json").read_text()
    assert "nothing answers at this address and port" in summary
    assert "secret" not in told.out + told.err + summary


def test_a_camera_that_is_not_there_is_waited_for(tmp_path, clip, rtsp_server, proxy, capsys):
    server: RtspServer = rtsp_server({"cam": Camera(clip=clip, running=True)})
    network = proxy(server.port)
    network.refuse()
    threading.Timer(1.0, network.forward).start()
    url = f"rtsp://127.0.0.1:{network.port}/cam"
    words = ("--reconnect", "--max-frames", 5, "--transport", "tcp", "--json")
    model = small_model(tmp_path).spec
    assert run("run", url, "--out", tmp_path / "out", "--model", model, *words) == 0
    (stream,) = json.loads(capsys.readouterr().out)["streams"]
    assert stream["frames"] == 5


def test_who_waits_for_a_camera_can_be_interrupted(tmp_path, monkeypatch):
    url = f"rtsp://127.0.0.1:{free_port()}/cam"
    camera = reconnecting(open_source(url), Backoff(first_seconds=30))

    def interrupt(futures):
        sleep(0.5)
        raise KeyboardInterrupt

    monkeypatch.setattr("streamdyn.runner._wait", interrupt)
    model = small_model(tmp_path).load()
    with pytest.raises(Interrupted):
        Runner(model, First, tmp_path / "out").run([camera])
