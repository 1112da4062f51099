"""The HTTP API, asked by real requests."""

import http.client
import json
import socket
import threading
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamdyn.errors import StreamdynError
from streamdyn.serve.control import Control
from streamdyn.serve.routes import LARGEST_BODY
from streamdyn.serve.sections import Http
from streamdyn.serve.server import Server
from tests.serve_kit import SECRET, TOKEN, MemorySupervisor, read_config, running, wait_until

CAMERA = f"rtsp://admin:{SECRET}@10.0.0.8/door"


class Client:
    """Asks an API; keeps all that it answered."""

    def __init__(self, server, supervisor):
        self.supervisor = supervisor
        self.port = int(server.url.rpartition(":")[2])
        self.answers = []

    def raw(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        self.answers.append(f"{answer.headers}{text}")
        return answer.status, text

    def __call__(self, method, path, value=None, headers=None):
        headers = {"Content-Type": "application/json", **(headers or {})}
        code, text = self.raw(method, path, None if value is None else json.dumps(value), headers)
        return code, json.loads(text)


@contextmanager
def serving(folder, text="", **settings):
    supervisor = MemorySupervisor()
    control = Control(supervisor, read_config(folder, text))
    control.start()
    with Server(control, Http(port=0, **settings)) as server:
        yield Client(server, supervisor)


@pytest.fixture
def api(tmp_path):
    with serving(tmp_path, f"streams:\n  door: {{source: '{CAMERA}'}}") as client:
        yield client
    assert SECRET not in "".join(client.answers)


def test_streams_are_told_added_changed_and_removed(api):
    code, streams = api("GET", "/streams")
    assert (code, [s["name"] for s in streams]) == (200, ["door"])
    assert streams[0]["source"] == "rtsp://***@10.0.0.8/door"
    new = {"name": "yard", "source": CAMERA, "max_fps": 5, "size": "448x768", "save": ["csv"]}
    assert api("POST", "/streams", new) == (201, {"added": "yard"})
    spec = api.supervisor.specs["yard"]
    assert (spec.source, spec.max_fps, spec.save) == (CAMERA, 5.0, ("csv",))
    assert spec.model.size == (448, 768)
    assert api("PUT", "/streams/yard", {"source": CAMERA}) == (200, {"changed": "yard"})
    assert api.supervisor.specs["yard"].max_fps is None
    assert api("PUT", "/streams/gate", {"source": CAMERA}) == (201, {"added": "gate"})
    assert api("GET", "/streams/gate")[1]["state"] == "running"
    assert api("DELETE", "/streams/gate") == (200, {"removed": "gate"})
    assert set(api.supervisor.specs) == {"door", "yard"}
    assert api("DELETE", "/streams/gate")[0] == 404


def test_the_status_has_streams_actors_and_their_sums(api):
    code, status = api("GET", "/status")
    assert code == 200
    account = status["streams"][0]["account"]
    assert account == {"computed": 20, "reused": 59, "dropped": 21, "failed": 0, "captured": 100}
    assert status["account"]["captured"] == 100
    assert status["actors"][0]["streams"] == ["door"]
    assert status["actors"][0]["pid"] == 4711


def test_workers_are_added_and_drained(api):
    assert api("POST", "/workers")[0] == 201
    assert api.supervisor.workers == ["worker-1", "worker-2"]
    assert api("DELETE", "/workers/worker-1")[0] == 200
    assert api.supervisor.workers == ["worker-2"]
    assert api("DELETE", "/workers/worker-9") == (404, {"error": "there is no worker worker-9"})


def test_health_is_told(api):
    assert api("GET", "/healthz") == (200, {"status": "ok"})


def test_prometheus_reads_all_figures(api):
    api.supervisor.statuses["new"] = running(
        "new",
        density=None,
        share=None,
        bytes_per_frame=None,
        frames_to_recover=None,
        age_seconds={},
        limit_shares={},
    )
    code, text = api.raw("GET", "/metrics")
    assert code == 200
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    door, new = ("stream", "door"), ("stream", "new")
    assert samples["streamdyn_stream_frames_total", ("end", "reused"), door] == 59
    assert samples["streamdyn_stream_fps", door, ("what", "captured")] == 10
    assert samples["streamdyn_stream_density", door] == 0.05
    assert ("streamdyn_stream_density", new) not in samples
    assert samples["streamdyn_stream_recovery_frames", door] == 12
    assert ("streamdyn_stream_recovery_frames", new) not in samples
    assert samples["streamdyn_stream_age_seconds", ("quantile", "0.99"), door] == 0.4
    assert samples["streamdyn_stream_limit_share", ("limit", "engine"), door] == 0.92
    assert samples["streamdyn_stream_state", ("state", "running"), door] == 1
    assert samples["streamdyn_stream_state", ("state", "failed"), door] == 0
    worker = ("actor", "worker-1"), ("node", "here"), ("role", "worker")
    assert samples["streamdyn_actor_memory_bytes", *worker] == 1e8


@pytest.mark.parametrize(
    ("method", "path", "value", "code", "told"),
    [
        ("GET", "/streams/nowhere", None, 404, "there is no stream nowhere"),
        ("GET", "/nowhere", None, 404, "Not Found"),
        ("PATCH", "/streams/door", {}, 405, "Method Not Allowed"),
        ("POST", "/streams", {"source": CAMERA}, 422, "name: it is missing"),
        ("POST", "/streams", {"name": "a"}, 422, "source: it is missing"),
        ("POST", "/streams", {"name": "a", "source": CAMERA, "x": 1}, 422, "x: there is no such"),
        ("POST", "/streams", {"name": "a", "source": CAMERA, "fps": -1}, 422, "fps: "),
        ("POST", "/streams", {"name": "door", "source": CAMERA}, 409, "there is a stream door"),
        ("POST", "/streams", {"name": "DOOR", "source": CAMERA}, 409, "there is a stream door"),
        ("POST", "/streams", {"name": "a b", "source": CAMERA}, 422, "call it a_b"),
        ("POST", "/streams", {"name": "a", "source": "x", "policy": "No"}, 422, "No"),
        (
            "POST",
            "/streams",
            {"name": "a", "source": "x", "policy": "os:system"},
            403,
            "may run code",
        ),
        ("POST", "/streams", {"name": "a", "source": "x", "save": [CAMERA]}, 422, "rtsp"),
        ("POST", "/streams", [1], 422, "no object of settings"),
    ],
)
def test_what_cannot_be_done_is_told_as_json(api, method, path, value, code, told):
    found, answer = api(method, path, value)
    assert found == code
    assert list(answer) == ["error"]
    assert told in answer["error"]
    assert set(api.supervisor.specs) == {"door"}


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        ("{}", {}, 415),
        ("{}", {"Content-Type": "text/plain"}, 415),
        ("{", {"Content-Type": "application/json"}, 400),
        ("\xff", {"Content-Type": "application/json"}, 400),
        ("[" * 50_000, {"Content-Type": "application/json"}, 400),
        ("x" * (LARGEST_BODY + 1), {"Content-Type": "application/json"}, 413),
    ],
)
def test_bodies_that_are_no_settings_are_refused(api, body, headers, code):
    found, text = api.raw("POST", "/streams", body.encode("latin-1"), headers)
    assert found == code
    assert "error" in json.loads(text)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:8765"}, 403),
        ({"Host": "192.168.1.5"}, 403),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:8765"}, 200),
        ({"Host": "localhost", "Origin": "https://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
    ],
)
def test_web_pages_from_elsewhere_cannot_use_the_api(api, headers, code):
    assert api("GET", "/status", headers=headers)[0] == code


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer \xe4", 401),
        (TOKEN, 401),
    ],
)
def test_a_token_is_asked_for(tmp_path, authorization, code):
    headers = {"Authorization": authorization} if authorization else {}
    with serving(tmp_path, token=TOKEN) as api:
        assert api("GET", "/status", headers=headers)[0] == code
        assert api("GET", "/healthz")[0] == 200
        assert TOKEN not in "".join(api.answers)


def test_with_a_token_it_may_listen_for_others(tmp_path):
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "monitor.example"}
    with serving(tmp_path, host="0.0.0.0", token=TOKEN) as api:
        assert api("GET", "/status", headers=headers)[0] == 200


def test_a_failure_of_the_supervisor_is_told_without_its_text(tmp_path, caplog):
    with serving(tmp_path) as api:

        def fail():
            raise RuntimeError(f"cannot reach {CAMERA}")

        api.supervisor.status = fail
        code, answer = api("GET", "/status")
    assert code == 500
    assert "the log of streamdyn serve says why" in answer["error"]
    assert "the API failed at /status" in caplog.text
    assert "cannot reach rtsp://***@10.0.0.8/door" in caplog.text
    assert SECRET not in caplog.text


def test_an_address_in_use_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        control = Control(MemorySupervisor(), read_config(tmp_path, ""))
        with pytest.raises(StreamdynError, match=f"cannot listen on 127.0.0.1:{port}"):
            Server(control, Http(port=port)).__enter__()


def test_nothing_is_left_of_a_server(tmp_path):
    before = threading.active_count()
    for _ in range(3):
        with serving(tmp_path) as api:
            assert api("GET", "/healthz")[0] == 200
    wait_until(lambda: threading.active_count() <= before)
    with pytest.raises(OSError, match="refused"):
        api("GET", "/healthz")
