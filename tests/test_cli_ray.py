"""The command with Ray gives what it gives without."""

import json

import pytest

from streamdyn.cli import main
from tests.cluster_kit import small_model, street


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    sources = [street(30, seed=1), street(20, seed=2)]
    return ["run", *sources, "--model", small_model(folder).spec, "--policy", "Change(threshold=4)"]


def results(folder):
    return {
        file.parent.name: [
            {k: v for k, v in json.loads(line).items() if k != "latency_seconds"}
            for line in file.read_text().splitlines()
        ]
        for file in sorted(folder.glob("*/results.jsonl"))
    }


def test_gives_the_same_results(arguments, tmp_path, capsys):
    status = tmp_path / "status.json"
    assert main([*arguments, "--out", str(tmp_path / "here")]) == 0
    there = ["--ray", "local", "--workers", "1", "--status", str(status)]
    assert main([*arguments, *there, "--out", str(tmp_path / "there"), "--json"]) == 0
    found = results(tmp_path / "there")
    assert [len(records) for records in found.values()] == [30, 20]
    assert found == results(tmp_path / "here")
    streams = json.loads(status.read_text())["streams"]
    assert [stream["account"]["captured"] for stream in streams] == [30, 20]
    assert {stream["state"] for stream in streams} == {"ended"}


def test_a_run_in_one_process_tells_its_status_too(arguments, tmp_path):
    status = tmp_path / "status.json"
    assert main([*arguments, "--out", str(tmp_path / "out"), "--status", str(status)]) == 0
    told = json.loads(status.read_text())
    accounts = [stream["account"] for stream in told["streams"]]
    assert [account["captured"] for account in accounts] == [30, 20]
    assert [account["computed"] + account["reused"] for account in accounts] == [30, 20]
    assert [actor["role"] for actor in told["actors"]] == ["worker"]


def test_a_cluster_that_is_not_there_is_told(arguments, tmp_path, capsys):
    nowhere = ["--ray", "127.0.0.1:1", "--out", str(tmp_path)]
    assert main([*arguments, *nowhere]) == 1
    assert "cannot connect to a Ray cluster at '127.0.0.1:1'" in capsys.readouterr().err
