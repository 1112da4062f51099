"""The commands `serve` and `status`, with a supervisor in memory."""

import io
import json
import re
import sys
import threading
import urllib.request
from contextlib import contextmanager

import pytest
from rich.console import Console

from streamdyn.cli import main
from streamdyn.cli.serve import serve
from streamdyn.serve.config import Config
from streamdyn.serve.control import Control
from streamdyn.serve.sections import Http
from streamdyn.serve.server import Server
from streamdyn.status import Event, RunStatus, StatusFile, parse_status
from streamdyn.status.live import Lines
from tests.serve_kit import (
    SECRET,
    TOKEN,
    MemorySupervisor,
    read_config,
    running,
    wait_until,
    write_config,
)

CAMERA = f"rtsp://admin:{SECRET}@10.0.0.8/door"
CONFIG = f"http: {{port: 0, token: {TOKEN}}}\nstreams:\n  door: {{source: '{CAMERA}'}}\n"


class Served:
    """`serve` in a thread of its own, and what it prints."""

    def __init__(self, folder, text=CONFIG, supervisor=None):
        self.supervisor = supervisor or MemorySupervisor()
        self.console = Console(file=io.StringIO(), width=120)
        self.path = write_config(folder, text)
        self.code = None
        self._thread = threading.Thread(target=self._run, args=(folder,))
        self._thread.start()

    def _run(self, folder):
        config, lines = Config.read(self.path), Lines(self.console)
        self.code = serve(self.supervisor, config, lines, status=folder / "status.json")

    @property
    def printed(self):
        return self.console.file.getvalue()

    def ask(self, method, path, value=None):
        wait_until(lambda: "has the status" in self.printed)
        request = urllib.request.Request(
            re.search(r"http://\S+", self.printed)[0] + path,
            None if value is None else json.dumps(value).encode(),
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def wait(self):
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_streams_come_from_the_file_its_edits_and_the_api_until_all_have_ended(tmp_path):
    served = Served(tmp_path)
    supervisor = served.supervisor
    supervisor.wait_for_call("add door")
    assert supervisor.running
    answers = [served.ask("PUT", "/streams/yard", {"source": CAMERA})]
    write_config(tmp_path, CONFIG.replace("door:", "gate:"))
    supervisor.wait_for_call("add gate")
    answers += [served.ask("GET", path) for path in ("/status", "/streams", "/metrics")]
    for name in ("gate", "yard"):
        supervisor.end(name)
    served.wait()
    assert served.code == 0
    assert not supervisor.running
    assert supervisor.calls == ["add door", "add yard", "remove door", "add gate"]
    status = (tmp_path / "status.json").read_text()
    assert {s.name: s.state for s in parse_status(status, "").streams} == {
        "door": "stopped",
        "yard": "ended",
        "gate": "ended",
    }
    assert "cameras.yaml: added gate; removed door" in served.printed
    assert "yard: ended after 100 frames, 21 dropped" in served.printed
    everything = "".join([*answers, status, served.printed])
    assert "rtsp://***@10.0.0.8/door" in everything
    assert SECRET not in everything
    assert TOKEN not in everything


def test_a_service_without_streams_waits_for_some(tmp_path):
    served = Served(tmp_path, CONFIG.partition("streams:")[0])
    served.ask("PUT", "/streams/yard", {"source": "x"})
    served.supervisor.end("yard")
    served.wait()
    assert served.code == 0


def test_a_failed_stream_is_told_and_so_is_the_exit_code(tmp_path):
    served = Served(tmp_path)
    served.supervisor.wait_for_call("add door")
    failed = running("door", state="failed", event=Event(1.0, "failed"), error="five crashes")
    served.supervisor.statuses["door"] = failed
    served.wait()
    assert served.code == 1
    assert "door: failed, five crashes" in served.printed


class Interrupted(MemorySupervisor):
    def wait(self, timeout):
        raise KeyboardInterrupt


def test_an_interrupted_service_ends_its_streams_and_shows_the_outcome(tmp_path):
    supervisor, console = Interrupted(), Console(file=io.StringIO(), width=120)
    config = read_config(tmp_path, CONFIG)
    with pytest.raises(KeyboardInterrupt):
        serve(supervisor, config, Lines(console), status=tmp_path / "status.json")
    assert not supervisor.running
    assert "door: 7.9 of 10 fps" in console.file.getvalue()
    assert parse_status((tmp_path / "status.json").read_bytes(), "").streams[0].name == "door"


def test_a_stream_that_cannot_start_is_told_and_so_is_the_exit_code(tmp_path):
    served = Served(tmp_path, CONFIG + "  yard: {source: x, policy: Chnage}\n")
    served.supervisor.wait_for_call("add door")
    served.supervisor.end("door")
    served.wait()
    assert served.code == 1
    assert "added door; failed yard: policy 'Chnage'" in served.printed


def test_a_wrong_file_is_told_before_anything_starts(tmp_path, capsys):
    assert main(["serve", str(write_config(tmp_path, "stream: {}"))]) == 1
    assert "did you mean streams?" in capsys.readouterr().err


def test_without_ray_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("streamdyn.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["serve", str(write_config(tmp_path, CONFIG))]) == 1
    assert "serve needs ray, which is not installed; pip install" in capsys.readouterr().err


def test_a_status_file_is_shown_with_what_limits_each_stream(tmp_path, capsys):
    path = tmp_path / "status.json"
    status = RunStatus(0.0, 60.0, (running("cam3"), running("cam4", state="failed", error="why")))
    with StatusFile(path, lambda: status):
        pass
    assert main(["status", str(path)]) == 1
    shown = capsys.readouterr().out
    assert "cam3: 7.9 of 10 fps; the engine limits it (92% of its time): lower the" in shown
    assert "cam4: failed, why" in shown
    assert "ago: the run is over, or hangs" in shown


@contextmanager
def serving(folder):
    supervisor = MemorySupervisor()
    control = Control(supervisor, read_config(folder, CONFIG))
    control.start()
    with Server(control, Http(port=0, token=TOKEN)) as server:
        yield server.url


def test_a_service_is_asked_with_its_token(tmp_path, capsys, monkeypatch):
    with serving(tmp_path) as url:
        assert main(["status", url]) == 1
        assert "401 Unauthorized; set STREAMDYN_TOKEN to its token" in capsys.readouterr().err
        monkeypatch.setenv("STREAMDYN_TOKEN", TOKEN)
        for address in (url, f"{url}/", f"{url}/status"):
            assert main(["status", address]) == 0
            assert "door: 7.9 of 10 fps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("http://127.0.0.1:1", "does not answer: "),
        ("http://", "does not answer: "),
        ("nowhere.json", "No such file"),
        (__file__, "holds no status of a run"),
    ],
)
def test_what_has_no_status_is_told(where, told, capsys):
    assert main(["status", where]) == 1
    assert told in capsys.readouterr().err
