import json

import pytest

from streamdyn.bench.harness import Measurement, interleave, write_json
from streamdyn.bench.pipeline import time_demo
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
    words = "bench pipeline --rounds 1 --demos 0 --frames 20 --memory-frames 250 --json"
    assert main([*words.split(), str(path)]) == 0
    records = json.loads(path.read_text())
    told = {(r["case"].split(",")[0], r["metric"]): r["value"] for r in records}
    assert told.keys() == {
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
    rates = {case: rate for (case, metric), rate in told.items() if metric == "frame rate"}
    for case in ("Pipeline", "run"):
        share = told[case, "share of the bare loop's rate"]
        assert 0 < share < 1.5
        assert share == pytest.approx(rates[case] / rates["bare PyAV loop"])
    whole, alone = told["Pipeline", "time per frame"], told["model alone", "time per frame"]
    assert told["Pipeline", "time against the model alone"] == pytest.approx(whole / alone)
    assert whole > alone / 2 > 0
    assert 0 <= told["run of 250 frames", "memory growth after warm-up"] < 100
    assert all(r["value"] == r["samples"][0] and len(r["samples"]) == 1 for r in records)
    assert "frames/s" in capsys.readouterr().out


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "nothing"])
    assert stopped.value.code == 2
    assert "pipeline" in capsys.readouterr().err


def test_the_demo_is_timed_as_a_whole(tmp_path):
    (time,) = time_demo(1, tmp_path, "--policy", "Interval(every=100)")
    told = json.loads((tmp_path / "demo-0" / "summary.json").read_text())["streams"]
    assert sum(stream["wall_seconds"] for stream in told) < time.value
    assert (time.case, time.metric, time.unit) == ("demo", "wall time", "s")


@pytest.mark.parametrize(
    "words", ["--memory-frames 249", "--frames 0", "--rounds 0", "--rounds none"]
)
def test_figures_that_cannot_be_measured_are_refused(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "pipeline", *words.split()])
    assert stopped.value.code == 2
    assert words.split()[0] in capsys.readouterr().err
