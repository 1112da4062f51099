"""The figures of a run, against numpy and by hand."""

import json
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from streamdyn import Classification, Prediction
from streamdyn.sources.report import DamagedRange, SourceReport
from streamdyn.summary import STAGES, Histogram, MeanAgreement, StreamSummary, table, total
from streamdyn.summary.agreement import student
from streamdyn.summary.name import shorten
from streamdyn.types import Audit, StageSeconds
from tests.predictions_kit import a_prediction

RESULT = Classification(np.array([0]), np.array([1.0], np.float32), ("cat",))

values = st.lists(st.floats(1e-7, 1e5), min_size=1, max_size=200)


def prediction(
    index: int,
    *,
    computed: bool = True,
    fault: str | None = None,
    density: float = 0.5,
    audit: Audit | None = None,
) -> Prediction:
    quick = {} if computed else {"status": "reused", "density": 0.0, "share": 0.0}
    model, dense = 0.006 if computed else 0.0, 0.02 if audit else 0.0
    return a_prediction(
        RESULT,
        index,
        latency_seconds=0.02 if computed else 1e-5,
        fault=fault,
        audit=audit,
        seconds=StageSeconds(decode=0.001, policy=0.002, model=model, audit=dense),
        **{"density": density} | quick,
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


class TestName:
    NAMES = "camera-north-entrance-2", "camera-north-entrance-3"

    @given(st.text(st.characters(exclude_characters="…"), max_size=30), st.integers(3, 40))
    def test_keeps_both_ends(self, text: str, most: int) -> None:
        short = shorten(text, most)
        assert len(short) == min(len(text), most)
        begins, _, ends = (short, "", "") if short == text else short.partition("…")
        assert text.startswith(begins)
        assert text.endswith(ends)

    def test_long_names_stay_on_their_line_and_apart(self) -> None:
        rows = told([summary_of(name, 10) for name in self.NAMES]).splitlines()
        assert max(map(len, rows)) == 80
        cut = [row.split()[0] for row in rows if "…" in row]
        assert [name[-1] for name in cut] == ["2", "3"]
        assert all(len(name) >= 11 for name in cut)

    def test_short_names_are_whole(self) -> None:
        assert told([summary_of("entrance", 10)]).count("entrance ") == 1


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
            {"decode": 0.01, "policy": 0.02, "model": 0.03, "audits": 0.0, "sinks": 0.01}
        )
        assert figures["time_share"] == pytest.approx(
            {"decode": 1 / 7, "policy": 2 / 7, "model": 3 / 7, "audits": 0.0, "sinks": 1 / 7}
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


def audited(agreements: list[float], *, every: int = 10, first: int = 0) -> list[Prediction]:
    """A stream whose every n-th frame is audited, as the prediction after it tells."""
    return [
        prediction(
            index,
            audit=Audit(index - 1, agreements[index // every - 1])
            if index and index % every == 0
            else None,
        )
        for index in range(first, every * len(agreements) + 1)
    ]


class TestMeanAgreement:
    def estimate(self, predictions: list[Prediction]) -> MeanAgreement:
        mean = MeanAgreement()
        for item in predictions:
            mean.add(item)
        return mean

    def test_is_the_mean_of_audits_that_are_evenly_spread(self) -> None:
        mean = self.estimate(audited([1.0, 0.5, 0.9]))
        assert mean.value == pytest.approx(0.8)
        assert (mean.audits, mean.frames) == (3, 31)

    def test_an_audit_counts_for_the_frames_since_the_one_before(self) -> None:
        often = audited([1.0] * 10, every=1)
        seldom = [prediction(n) for n in range(30)] + [prediction(30, audit=Audit(29, 0.0))]
        assert self.estimate(often + seldom).value == pytest.approx(10 / 41)

    def test_frames_computed_whole_are_known_to_agree(self) -> None:
        whole = [prediction(n, density=1.0) for n in range(90)]
        partial = [prediction(n) for n in range(10)] + [prediction(10, audit=Audit(9, 0.5))]
        mean = self.estimate(whole + partial)
        assert mean.value == pytest.approx((90 + 11 * 0.5) / 101)
        assert self.estimate(whole).value == 1.0
        assert self.estimate(whole).interval() == (1.0, 1.0)

    def test_is_not_known_without_audits(self) -> None:
        for predictions in ([], [prediction(0, density=1.0), prediction(1)]):
            assert self.estimate(predictions).value is None
            assert self.estimate(predictions).interval() is None

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
    def test_the_interval_holds_the_value(self, agreements: list[float]) -> None:
        mean = self.estimate(audited(agreements))
        low, high = mean.interval()
        assert 0 <= low <= mean.value + 1e-9
        assert mean.value - 1e-9 <= high <= 1
        assert low < high

    @pytest.mark.parametrize(("right", "count"), [(0.95, 60), (0.9, 20), (0.7, 200), (0.99, 100)])
    def test_the_interval_holds_the_truth_as_often_as_it_says(
        self, right: float, count: int
    ) -> None:
        draw = np.random.default_rng(count)
        held = 0
        for _ in range(200):
            mean = self.estimate(audited(list((draw.random(count) < right) * 1.0), every=1))
            low, high = mean.interval()
            held += low <= right <= high
        assert held >= 185  # of 200, at 95% confidence

    @given(st.lists(st.floats(0, 1), min_size=1), st.lists(st.floats(0, 1), min_size=1))
    def test_merging_is_adding(self, first: list[float], second: list[float]) -> None:
        merged, other = self.estimate(audited(first)), self.estimate(audited(second))
        merged.merge(other)
        whole = self.estimate(audited(first) + audited(second, first=1))
        assert merged.value == pytest.approx(whole.value)
        assert merged.interval() == pytest.approx(whole.interval(), abs=1e-6)

    @pytest.mark.parametrize(
        ("freedom", "quantile"), [(2, 4.303), (5, 2.571), (30, 2.042), (1000, 1.962)]
    )
    def test_quantiles_of_student(self, freedom: int, quantile: float) -> None:
        assert student(0.975, freedom) == pytest.approx(quantile, rel=0.035)


class TestQuality:
    def summary(self, agreements: list[float], target: float | None = 0.9) -> StreamSummary:
        summary = StreamSummary("cam")
        summary.target = target
        for item in audited(agreements):
            summary.add(item, 0.0)
        return summary

    def test_figures(self) -> None:
        summary = self.summary([1.0, 0.8])
        quality = json.loads(json.dumps(summary.to_dict(), allow_nan=False))["quality"]
        low, high = quality.pop("interval")
        assert 0 <= low < 0.9 < high <= 1.0
        assert quality == {
            "target": 0.9,
            "reached": None,
            "agreement": pytest.approx(0.9),
            "confidence": 0.95,
            "audits": 2,
            "audit_share": pytest.approx(2 / 21),
            "audit_seconds": pytest.approx(0.04),
        }

    def test_audits_are_part_of_the_cost(self) -> None:
        summary = self.summary([1.0, 0.8])
        assert summary.mean_share == pytest.approx((21 * 0.25 + 2) / 21)
        assert summary.time_share["audits"] == pytest.approx(0.04 / (21 * 0.009 + 0.04))

    def test_no_audits_no_quality(self) -> None:
        assert summary_of("cam", 10).to_dict()["quality"] is None

    def test_the_table_tells_of_it(self) -> None:
        text = " ".join(told([self.summary([1.0, 0.8] * 20)]).split())
        assert "agreement 0.900 (95% sure:" in text
        assert "target 0.9: too few audits to tell if reached; 40 audits: 10.0% of dense" in text
        assert "not known" in told([self.summary([])])

    @pytest.mark.parametrize(
        ("agreements", "reached", "words"),
        [
            ([1.0, 0.9, 0.9, 0.95] * 80, True, "reached"),
            ([0.99] * 200, True, "reached"),
            ([0.8, 0.7] * 40, False, "missed"),
            ([0.8, 0.7], None, "too few audits to tell"),
            ([1.0] * 3, None, "too few audits to tell"),
        ],
    )
    def test_a_target_is_missed_only_for_sure(
        self, agreements: list[float], reached: bool | None, words: str
    ) -> None:
        summary = self.summary(agreements)
        assert summary.to_dict()["quality"]["reached"] is reached
        assert f"target 0.9: {words}" in " ".join(told([summary]).split())


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


class Says:
    """What a source says that lost its camera."""

    decoded, emitted, dropped, corrupt = 12, 6, 3, 1
    damage = (DamagedRange(1.0, 2.5, "invalid data"),)
    damage_forgotten = 4
    reconnects, gap_seconds, frames_to_recover = 2, 7.25, 11


def test_what_was_captured_can_be_checked_against_what_became_of_it():
    summary = summary_of("cam", 5)
    summary.take_over(Says())
    summary.journey.failed = 1
    summary.journey.worker = "worker-2"
    for n in range(5):
        summary.journey.add(0.1 * (n + 1), 2000 if n % 2 == 0 else 0)
    found = json.loads(json.dumps(summary.to_dict()))
    ends = [found[end] for end in ("computed", "reused", "dropped", "failed")]
    assert (found["captured"], ends) == (9, [3, 2, 3, 1])
    assert (found["reconnects"], found["gap_seconds"], found["frames_to_recover"]) == (2, 7.25, 11)
    assert found["age_seconds"]["p50"] == pytest.approx(0.3, rel=0.01)
    assert found["age_seconds"]["p99"] == pytest.approx(0.5, rel=0.01)
    assert (found["bytes_per_frame"], found["worker"]) == (2000, "worker-2")
    assert (found["damage_forgotten"], len(found["damage"])) == (4, 1)
    assert summary.notes() == [
        "cam: 4 damaged ranges, and then:",
        "cam: damaged from 1.00 s to 2.50 s: invalid data",
        "cam: 1 frames corrupt: parts of them could not be decoded",
        "cam: 3 frames dropped: they came faster than they were computed",
        "cam: 1 frames failed: what should have computed them broke",
        "cam: 2 reconnects, 7.2 s of gaps; 11 frames to recover after the last",
        "cam: age of results from worker-2 p50/p95/p99 0.30/0.50/0.50 s, 2 kB a frame",
    ]
    both = total([summary, summary])
    assert (both.captured, both.journey.failed, both.journey.reconnects) == (18, 2, 4)
    assert both.journey.bytes_per_frame == 2000


def test_a_recording_that_nothing_happened_to_has_no_notes():
    summary = summary_of("cam", 5)
    summary.take_over(SourceReport(decoded=5, emitted=5))
    assert summary.notes() == []
    assert summary.to_dict()["captured"] == 5
    assert summary.to_dict()["worker"] is None
