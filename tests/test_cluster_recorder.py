"""What is kept of a stream, whichever of its decoders tells of it, and how often."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.cluster.messages import Outcome, Report, Tally
from streamdyn.cluster.recorder import Recorder
from streamdyn.errors import SinkError
from streamdyn.status import Account, StreamStatus
from streamdyn.types import Classification
from tests.predictions_kit import a_prediction

RESULT = Classification(np.zeros(1, np.int64), np.ones(1, np.float32), ("a",))


def outcome(index: int, *, reused: bool = False, failed: bool = False) -> Outcome:
    end = "reused" if reused else "computed"
    prediction = a_prediction(RESULT, index, status=end, density=0.0 if reused else 1.0)
    return Outcome(
        index,
        index / 10,
        None if failed else prediction,
        size=(32, 32),
        captured_at=1000 + index / 10,
    )


def report(*outcomes: Outcome, live: bool = False, queue: int = 0, **tally: float) -> Report:
    return Report(outcomes, Tally(**tally), live=live, queue=queue)


@pytest.fixture
def recorder(tmp_path: Path) -> Generator[Recorder]:
    recorder = Recorder("cam", "rtsp://camera", tmp_path / "cam", ("jsonl",))
    yield recorder
    recorder.close()


def status(recorder: Recorder) -> StreamStatus:
    return recorder.fill(StreamStatus("cam", "rtsp://camera"))


def indices(folder: Path) -> list[int]:
    lines = (folder / "cam" / "results.jsonl").read_text().splitlines()
    return [json.loads(line)["index"] for line in lines]


def test_what_comes_twice_counts_once(recorder, tmp_path):
    recorder.record(report(*map(outcome, range(5)), decoded=5))
    recorder.replace_decoder()
    recorder.record(report(*map(outcome, range(3, 9)), decoded=9))
    recorder.close()
    assert indices(tmp_path) == list(range(9))
    assert status(recorder).account == Account(computed=9)
    assert (recorder.summary.computed, recorder.summary.decoded) == (9, 9)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["computed", "reused", "failed"]), st.integers(0, 3), st.booleans()
        ),
        max_size=30,
    )
)
def test_every_frame_of_a_camera_comes_to_one_end(tmp_path_factory, frames):
    folder = tmp_path_factory.mktemp("camera")
    recorder = Recorder("cam", "rtsp://camera", folder / "cam", ("jsonl",))
    index, dropped, emitted, before = 0, 0, 0, 0
    for end, lost, replaced in frames:
        if replaced:
            recorder.replace_decoder()
            dropped, emitted, before = 0, 0, before + dropped
            place = recorder.place
            assert index == (0 if place is None else place.index + 1)
        dropped += lost
        index += lost
        one = outcome(index, reused=end == "reused", failed=end == "failed")
        emitted += 1
        tally = {"decoded": index + 1, "emitted": emitted, "dropped": dropped}
        recorder.record(report(one, live=True, **tally))
        index += 1
        account = status(recorder).account
        assert account.captured == index
        assert account.dropped == before + dropped
    recorder.close()
    account = status(recorder).account
    ends = [end for end, _, _ in frames]
    assert account.computed == ends.count("computed") == recorder.summary.computed
    assert account.reused == ends.count("reused") == recorder.summary.reused
    assert account.failed == ends.count("failed")
    assert account.dropped == recorder.summary.dropped
    assert recorder.summary.captured == account.captured  # the one as the source counts it


def test_what_a_lost_decoder_had_begun_has_failed(recorder):
    recorder.record(report(outcome(0), live=True, decoded=4, emitted=2, dropped=1))
    recorder.replace_decoder()
    assert status(recorder).account == Account(computed=1, dropped=1, failed=1)
    assert recorder.place.index == 2
    recorder.record(report(outcome(3), live=True, decoded=1, emitted=1))
    recorder.close()
    assert status(recorder).account == Account(computed=2, dropped=1, failed=1)
    told = recorder.summary.to_dict()
    assert told["captured"] == sum(told[e] for e in ("computed", "reused", "dropped", "failed"))


def test_the_summary_has_all_figures_of_the_run(recorder):
    late = replace(outcome(0), age_seconds=0.25, sent_bytes=1000)
    tally = {"emitted": 2, "decoded": 2, "reconnects": 1, "gap_seconds": 2.5}
    recorder.record(report(late, outcome(1, failed=True), live=True, **tally, frames_to_recover=7))
    assert status(recorder).frames_to_recover == 7
    recorder.close()
    told = recorder.summary.to_dict()
    assert (told["captured"], told["computed"], told["failed"]) == (2, 1, 1)
    assert (told["reconnects"], told["gap_seconds"], told["frames_to_recover"]) == (1, 2.5, 7)
    assert told["age_seconds"]["p99"] == pytest.approx(0.25, rel=0.01)
    assert told["bytes_per_frame"] == 1000


def test_a_camera_goes_on_after_frames_that_failed_from_the_start(recorder):
    recorder.record(report(*(outcome(n, failed=True) for n in range(4)), live=True))
    assert recorder.place.index == 3
    assert recorder.place.pts_seconds == 0.3
    assert recorder.place.captured_at == 1000.3


def test_a_camera_goes_on_after_frames_that_were_dropped_last(recorder):
    recorder.record(report(outcome(0), live=True))
    recorder.record(report(live=True, dropped=3))
    assert recorder.place.index == 3


def test_the_time_without_a_decoder_is_a_gap(recorder):
    recorder.record(report(outcome(0), live=True, gap_seconds=0.5, reconnects=1))
    recorder.replace_decoder()
    recorder.record(report(outcome(20), live=True))
    recorder.record(report(outcome(21), live=True, gap_seconds=0.25, reconnects=1))
    assert status(recorder).gap_seconds == pytest.approx(0.5 + 2.0 + 0.25)
    assert status(recorder).reconnects == 2


def test_frames_on_their_way_are_the_queue(recorder):
    recorder.record(report(outcome(0), queue=2))
    assert status(recorder).queue == 2
    recorder.replace_decoder()
    assert status(recorder).queue == 0


def test_while_results_are_written_they_are_in_the_queue(tmp_path):
    seen = []
    recorder = Recorder(
        "cam",
        "a.mp4",
        tmp_path / "cam",
        ("jsonl",),
        on_prediction=lambda prediction: seen.append(status(recorder).queue),
    )
    recorder.record(report(*map(outcome, range(3)), queue=1))
    recorder.close()
    assert seen == [4, 3, 2]


def test_nothing_is_written_after_the_end(recorder, tmp_path):
    recorder.record(report(outcome(0)))
    recorder.close("it broke")
    recorder.record(report(outcome(1)))
    assert recorder.summary.error == "it broke"
    assert indices(tmp_path) == [0]
    assert status(recorder).account == Account(computed=1)


def test_tells_of_results_that_cannot_be_written(tmp_path):
    (tmp_path / "cam").write_text("a file where the folder should be")
    recorder = Recorder("cam", "a.mp4", tmp_path / "cam", ("jsonl",))
    with pytest.raises(SinkError):
        recorder.record(report(outcome(0)))
    recorder.close()


def test_shows_rates_and_ages_of_the_last_seconds(recorder):
    for n in range(5):
        aged = replace(outcome(n), age_seconds=0.1, sent_bytes=1000)
        recorder.record(report(aged, decoded=n + 1))
    found = status(recorder)
    assert found.rates.computed > 0
    assert found.age_seconds["p99"] == pytest.approx(0.1)
    assert found.bytes_per_frame == 1000
    assert found.density == 1
