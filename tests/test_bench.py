import json

import pytest

from streamdyn.bench.harness import Measurement, interleave, write_json
from streamdyn.cli import main


def test_contenders_take_turns():
    calls = []
    seconds = interleave(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3, warmup=1
    )
    assert calls == ["a", "b"] * 4
    assert {name: len(samples) for name, samples in seconds.items()} == {"a": 3, "b": 3}


def test_a_figure_is_the_median_of_its_samples(tmp_path):
    figure = Measurement.of("pipeline", "case", "time", "ms", [3.0, 1.0, 2.0])
    assert figure.value == 2
    write_json([figure], tmp_path / "figures.json")
    (record,) = json.loads((tmp_path / "figures.json").read_text())
    machine = record.pop("machine")
    assert machine["cores"] > 0
    assert record == {
        "bench": "pipeline",
        "case": "case",
        "metric": "time",
        "value": 2.0,
        "unit": "ms",
        "samples": [3.0, 1.0, 2.0],
    }


def test_the_pipeline_benchmark_measures_what_it_says(tmp_path, capsys):
    path = tmp_path / "figures.json"
    words = "bench pipeline --rounds 1 --frames 40 --memory-frames 250 --json"
    assert main([*words.split(), str(path)]) == 0
    records = json.loads(path.read_text())
    told = {(record["case"].split(",")[0], record["metric"]) for record in records}
    assert told == {
        ("bare PyAV loop", "frame rate"),
        ("Pipeline", "frame rate"),
        ("run", "frame rate"),
        ("Pipeline", "share of the bare loop's rate"),
        ("run", "share of the bare loop's rate"),
        ("model alone", "time per frame"),
        ("Pipeline", "time per frame"),
        ("Pipeline", "time against the model alone"),
        ("run of 250 frames", "memory growth after warm-up"),
    }
    assert all(record["value"] >= 0 for record in records)
    assert "frames/s" in capsys.readouterr().out


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "nothing"])
    assert stopped.value.code == 2
    assert "pipeline" in capsys.readouterr().err
