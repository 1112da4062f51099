"""The figures of a run, against numpy and by hand."""

import json
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from streamdyn import Classification, Prediction
from streamdyn.sources.report import DamagedRange
from streamdyn.summary import STAGES, Histogram, StreamSummary, table, total
from streamdyn.types import StageSeconds

RESULT = Classification(np.array([0]), np.array([1.0], np.float32), ("cat",))

values = st.lists(st.floats(1e-7, 1e5), min_size=1, max_size=200)


def prediction(index: int, *, computed: bool = True, fault: str | None = None) -> Prediction:
    return Prediction(
        stream="cam",
        index=index,
        pts_seconds=index / 25,
        status="computed" if computed else "reused",
        age_frames=0,
        age_seconds=0.0,
        density=0.5 if computed else 0.0,
        share=0.25 if computed else 0.0,
        latency_seconds=0.02 if computed else 1e-5,
        result=RESULT,
        fault=fault,
        seconds=StageSeconds(decode=0.001, policy=0.002, model=0.006 if computed else 0.0),
    )


def summary_of(name: str, frames: int, start: float = 0.0) -> StreamSummary:
    """Every other frame computed; the clock ticks a tenth of a second per frame."""
    ticks = (start + tick / 10 for tick in count())
    summary = StreamSummary(name, clock=ticks.__next__)
    for index in range(frames):
        summary.add(prediction(index, computed=index % 2 == 0), sink_seconds=0.001)
    summary.decoded = frames
    return summary


def told(summaries: list[StreamSummary]) -> str:
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(table(summaries))
    return capture.get()


class TestHistogram:
    @given(values, st.floats(0, 1))
    def test_quantiles_are_within_one_percent(self, values: list[float], fraction: float) -> None:
        histogram = Histogram()
        for value in values:
            histogram.add(value)
        exact = np.quantile(values, fraction, method="inverted_cdf")
        assert histogram.quantile(fraction) == pytest.approx(exact, rel=0.011)

    @given(values, values)
    def test_merging_is_adding(self, first: list[float], second: list[float]) -> None:
        merged, other, whole = Histogram(), Histogram(), Histogram()
        for value in first:
            merged.add(value)
        for value in second:
            other.add(value)
        merged.merge(other)
        for value in first + second:
            whole.add(value)
        for fraction in (0.0, 0.5, 0.95, 1.0):
            assert merged.quantile(fraction) == whole.quantile(fraction)

    @pytest.mark.parametrize(("value", "nearest"), [(0.0, 1e-7), (-1.0, 1e-7), (1e9, 1e5)])
    def test_out_of_range_counts_as_the_nearest(self, value: float, nearest: float) -> None:
        histogram = Histogram()
        histogram.add(value)
        assert histogram.quantile(0.5) == pytest.approx(nearest, rel=0.03)

    def test_nothing_has_no_quantile(self) -> None:
        assert Histogram().quantile(0.5) is None


class TestStreamSummary:
    def test_figures(self) -> None:
        figures = summary_of("cam", 10).to_dict()
        assert (figures["frames"], figures["computed"], figures["reused"]) == (10, 5, 5)
        assert figures["decoded"] == 10
        assert figures["wall_seconds"] == pytest.approx(1.0)
        assert figures["fps"] == pytest.approx(10.0)
        assert figures["mean_density"] == pytest.approx(0.25)
        assert figures["mean_share"] == pytest.approx(0.125)
        assert figures["latency_seconds"]["p50"] == pytest.approx(1e-5, rel=0.01)
        assert figures["latency_seconds"]["p95"] == pytest.approx(0.02, rel=0.01)
        assert figures["seconds"] == pytest.approx(
            {"decode": 0.01, "policy": 0.02, "model": 0.03, "sinks": 0.01}
        )
        assert figures["time_share"] == pytest.approx(
            {"decode": 1 / 7, "policy": 2 / 7, "model": 3 / 7, "sinks": 1 / 7}
        )

    def test_closing_the_sinks_takes_time(self) -> None:
        summary = summary_of("cam", 10)
        summary.end(0.05)
        assert summary.seconds["sinks"] == pytest.approx(0.06)
        assert summary.wall_seconds == pytest.approx(1.1)
        assert summary.fps == pytest.approx(10 / 1.1)

    def test_keeps_the_first_faults_and_counts_all(self) -> None:
        summary = StreamSummary("cam")
        for index in range(100):
            summary.add(prediction(index, fault=f"no {index}"), 0.0)
        faults = summary.to_dict()["faults"]
        assert faults["count"] == 100
        assert faults["first"] == [f"frame {i}: no {i}" for i in range(StreamSummary.FAULTS)]

    def test_nothing_is_valid_json(self) -> None:
        figures = json.loads(json.dumps(StreamSummary("cam").to_dict(), allow_nan=False))
        assert figures["decoded"] == 0
        assert figures["mean_density"] is None
        assert figures["latency_seconds"] == {"p50": None, "p95": None, "p99": None}
        assert figures["time_share"] == dict.fromkeys(STAGES)

    def test_total_leaves_its_parts_alone(self) -> None:
        early, late = summary_of("a", 10), summary_of("b", 20, start=1.0)
        late.dropped, late.damage = 3, [DamagedRange(1.0, 2.0, "lost")]
        early.corrupt, late.corrupt = 1, 4
        whole = total([early, late]).to_dict()
        assert (whole["decoded"], whole["frames"], whole["computed"]) == (30, 30, 15)
        assert (whole["dropped"], whole["corrupt"]) == (3, 5)
        assert whole["damage"] == [{"start_seconds": 1.0, "end_seconds": 2.0, "what": "lost"}]
        assert whole["wall_seconds"] == pytest.approx(3.0)
        assert whole["mean_density"] == pytest.approx(0.25)
        assert whole["seconds"]["policy"] == pytest.approx(0.06)
        early.corrupt = 0
        assert early.to_dict() == summary_of("a", 10).to_dict()


class TestTable:
    def test_fits_a_terminal(self) -> None:
        text = told([summary_of("[door] camera", 1000), summary_of("yard", 10)])
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= 80
        for figure in ("[door]", "1000", "10.0", "25.0%", "0.01/20.0/20.0", "14/29/43/14", "all"):
            assert figure in text

    def test_one_stream_has_no_total(self) -> None:
        assert "all streams" not in told([summary_of("cam", 10)])

    def test_tells_of_damage_drops_faults_and_errors(self) -> None:
        summary = summary_of("cam", 10)
        summary.add(prediction(10, fault="Change raised ValueError: no"), 0.0)
        summary.dropped, summary.damage = 3, [DamagedRange(1.0, 2.5, "invalid data")]
        summary.error, summary.corrupt = "the camera is gone", 2
        text = told([summary])
        assert "cam: damaged from 1.00 s to 2.50 s: invalid data" in text
        assert "cam: failed: the camera is gone" in text
        assert "cam: 3 frames dropped" in text
        assert "cam: 2 frames corrupt" in text
        assert "frame 10: Change raised ValueError: no" in text

    def test_no_frames_show_dashes(self) -> None:
        assert "-/-/-" in told([StreamSummary("cam")])
