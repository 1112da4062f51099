"""The benchmark of streams: what it counts, and small runs of its jobs."""

import json
from dataclasses import replace
from time import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import BlockGrid, Classification, Frame, Prediction
from streamdyn.bench.cameras import Camera
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.report import write_json
from streamdyn.bench.streams.ages import Ages
from streamdyn.bench.streams.heavy import measure_heavy
from streamdyn.bench.streams.killed import measure_kills, not_once, unequal
from streamdyn.bench.streams.live import measure_overloaded
from streamdyn.bench.streams.meter import Meter, Span, between, farthest
from streamdyn.bench.streams.plot import draw_margins, margin
from streamdyn.bench.streams.setting import Setting
from streamdyn.cli import main
from streamdyn.errors import StreamdynError

GRID = BlockGrid(64, 96, 32)


@pytest.fixture
def setting(tmp_path):
    return Setting(
        folder=tmp_path, say=print, size=(96, 160), heavy="resnet18", streams=2, rounds=1,
        seconds=0.5, file_frames=5000, live_seconds=1.0, kill_frames=100, kill_seconds=0.5,
        kills=1,
    )  # fmt: skip


def result(*scores: float) -> Classification:
    order = np.argsort(scores)[::-1]
    names = tuple(f"class {label}" for label in order)
    return Classification(order, np.array(scores, np.float32)[order], names)


def prediction(stream: str, index: int) -> Prediction:
    return Prediction(
        stream=stream, index=index, pts_seconds=index / 25, status="computed", age_frames=0,
        age_seconds=0.0, density=1.0, share=1.0, latency_seconds=0.0,
        result=result(0.25, 0.75), mask=GRID.all(),
    )  # fmt: skip


def by_metric(measurements) -> dict[str, Measurement]:
    return {measurement.metric: measurement for measurement in measurements}


def test_a_meter_counts_frames_and_blocks_of_each_stream():
    meter = Meter(keep=2)
    meter.update(prediction("a", 0))
    before = meter.total()
    for index in range(1, 4):
        meter.update(prediction("a", index))
    meter.update(prediction("b", 0))
    found = between(before, meter.total())
    assert (found.frames, found.blocks) == (4, 24)
    assert found.seconds > 0
    assert meter.frames("a") == 4
    assert meter.frames("c") == 0
    assert meter.saw(["a", "b"])
    assert not meter.saw(["a", "c"])
    assert not meter.saw(["a", "b"], frames=2)
    assert len(meter.results("a")) == 2
    assert meter.one_by_one().frames == 3


def test_rates_are_per_second():
    span = Span(seconds=2.0, frames=50, blocks=400)
    assert (span.rate, span.block_rate) == (25, 200)


def test_scores_are_compared_by_class_frame_by_frame():
    ours = [result(0.2, 0.8), result(0.6, 0.4), result(0.0, 1.0)]
    theirs = [result(0.3, 0.7), result(0.4, 0.6)]
    assert farthest(ours, theirs) == pytest.approx(0.2)
    assert farthest(ours, ours) == 0


def test_the_age_of_a_result_is_told_from_when_its_frame_was_captured(tmp_path):
    ages = Ages()
    image = np.zeros((4, 4, 3), np.uint8)
    with ages(tmp_path) as sink:
        for age in [*([0.2] * 99), 3.0]:
            frame = Frame.from_image(image, index=0, pts_seconds=0.0)
            frame.captured_at = time() - age
            sink(prediction("a", 0), frame)
        recorded = Frame.from_image(image, index=0, pts_seconds=0.0)
        sink(prediction("a", 0), recorded)
    assert ages.quantile(0.5) == pytest.approx(0.2, rel=0.2)
    assert ages.quantile(1.0) == pytest.approx(3.0, rel=0.1)
    ages.clear()
    with pytest.raises(StreamdynError, match="no live result"):
        ages.quantile(0.5)


def test_what_is_missing_double_or_different_is_found():
    expected = {"a": [{"index": n, "density": 1.0} for n in range(4)]}
    assert not_once(expected, 4) == 0
    assert unequal(expected, expected) == 0
    double = {"a": [*expected["a"][:2], *expected["a"][1:]]}
    assert not_once(double, 4) == 1
    missing = {"a": expected["a"][:-1]}
    assert not_once(missing, 4) == 1
    assert not_once({"a": []}, 4) == 4
    other = {"a": [*expected["a"][:-1], {"index": 3, "density": 0.5}]}
    assert unequal(other, expected) == 1


@given(st.floats(0.01, 1000), st.floats(0.01, 1000), st.booleans())
def test_a_margin_is_above_one_where_what_is_asked_is_reached(value, bound, at_most):
    asked = Asked(bound, at_most=at_most)
    figure = Measurement.of("streams", "case", "metric", "s", [value], asked=asked)
    assert (margin(figure) >= 1) == asked.met(value)


def test_a_margin_to_nothing_is_finite():
    asked = Asked(0.0, at_most=True)
    none = Measurement.of("streams", "case", "lost", "frames", [0], asked=asked)
    some = replace(none, value=3.0)
    assert margin(none) > 1 > margin(some) > 0


def test_an_unknown_job_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["bench", "streams", "--only", "heavy,nonsense"])
    assert caught.value.code == 2
    assert "there is no 'nonsense'; choose of heavy, files" in capsys.readouterr().err


def test_a_heavy_stream_gives_on_a_cluster_what_it_gives_in_one_process(setting, tmp_path):
    found = list(measure_heavy(setting))
    figures = by_metric(found)
    assert figures["largest difference of scores in 100 frames"].value == 0
    assert 1.0 <= figures["bytes sent over those of the computed blocks"].value < 1.5
    assert figures["frame rate on a cluster"].value > 1
    assert 0 < figures["share of the rate of one process"].about["density"] < 0.5
    draw_margins(found, "here", tmp_path / "margins.png")
    assert (tmp_path / "margins.png").read_bytes().startswith(b"\x89PNG")
    write_json(found, tmp_path / "figures.json")
    assert len(json.loads((tmp_path / "figures.json").read_text())) == len(found)


@pytest.mark.timeout(240)
def test_killed_workers_lose_nothing(setting):
    figures = by_metric(measure_kills(setting, workers=1))
    assert figures["frames not told of exactly once"].value == 0
    assert figures["results unlike those undisturbed"].value == 0
    assert figures["time over that undisturbed"].about["kills"] == 1


@pytest.mark.timeout(240)
def test_an_engine_that_is_too_slow_drops_frames_and_counts_them(setting, rtsp_server):
    cameras = {"cam": Camera(clip=setting.cameras(1)[0], running=True)}
    url = rtsp_server(cameras).url("cam")
    figures = by_metric(measure_overloaded(setting, [url]))
    assert 0 < figures["frames dropped"].value < 1
    assert figures["age of results, p50"].value <= figures["age of results, p99"].value
    assert "too slow" in figures["frames dropped"].case
