import json
import threading
import time

import numpy as np
import pytest

from streamdyn import Policy, SinkError, SourceError, load_policy, load_results, open_source
from streamdyn.output import result_files
from streamdyn.policies import First, Interval
from streamdyn.progress import Unwatched
from streamdyn.runner import Interrupted, Runner
from streamdyn.sinks import Callback, JsonLines
from streamdyn.sources.collection import SourceList
from streamdyn.testing import StillModel


def square(name="square", frames=6, **options):
    return open_source(
        f"synthetic:square?frames={frames}&height=96&width=160", name=name, **options
    )


def runner(folder, policy="Interval(every=2)", **options):
    options = {"picture": True, **options}
    return Runner(StillModel(), lambda: load_policy(policy), folder, **options)


def test_each_stream_gets_a_folder_with_results_summary_and_picture(tmp_path):
    summaries = runner(tmp_path, save=("jsonl", "csv")).run([square("a"), square("b", frames=4)])
    assert [(s.stream, s.decoded, s.computed, s.reused) for s in summaries] == [
        ("a", 6, 3, 3),
        ("b", 4, 2, 2),
    ]
    for stream, frames in (("a", 6), ("b", 4)):
        folder = tmp_path / stream
        assert {p.name for p in folder.iterdir()} == {
            "results.jsonl",
            "results.csv",
            "overview.png",
        }
        results = load_results(folder)
        assert [r.index for r in results] == list(range(frames))
        assert [r.status for r in results] == ["computed", "reused"] * (frames // 2)
    told = json.loads((tmp_path / "summary.json").read_text())["streams"]
    assert [stream["computed"] for stream in told] == [3, 2]


def test_what_happens_to_one_stream_does_not_touch_the_others(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    good = square("good")
    streams = SourceList("streams", [open_source(broken), good], None).streams
    summaries = runner(tmp_path / "out").run(streams)
    assert summaries[0].error.startswith(f"cannot open {broken}")
    assert summaries[1].error is None
    assert len(load_results(tmp_path / "out" / good.name)) == 6


def test_a_policy_of_its_own_for_each_stream(tmp_path):
    made = []

    def make() -> Policy:
        made.append(First())
        return made[-1]

    Runner(StillModel(), make, tmp_path).run([square("a"), square("b")])
    assert len(made) == len(set(map(id, made))) == 2


def test_live_streams_run_side_by_side(tmp_path):
    """Two endless streams: if one waited for the other, it would never begin."""
    both = threading.Barrier(2, timeout=30)

    class Meets(Unwatched):
        def update(self, prediction):
            if prediction.index == 0:
                both.wait()

    streams = [square(name, frames=5, live=True) for name in ("left", "right")]
    summaries = runner(tmp_path, watcher=Meets()).run(streams)
    assert [s.error for s in summaries] == [None, None]
    assert not both.broken


def test_files_run_in_order_beside_a_live_stream_that_does_not_end(tmp_path):
    files_done = threading.Event()
    events = []

    class Notes(Unwatched):
        def start(self, source):
            events.append(("start", source.name))

        def update(self, prediction):
            if prediction.stream == "camera" and prediction.index == 0:
                assert files_done.wait(30), "the files wait for the camera"

        def finish(self, summary):
            events.append(("finish", summary.stream))
            if summary.stream == "c":
                files_done.set()

    streams = [square("a"), square("camera", frames=5, live=True), square("b"), square("c")]
    summaries = runner(tmp_path, watcher=Notes()).run(streams)
    assert [s.stream for s in summaries] == ["a", "camera", "b", "c"]
    assert [s.error for s in summaries] == [None] * 4
    assert [event for event in events if event[1] != "camera"] == [
        (what, name) for name in "abc" for what in ("start", "finish")
    ]


def test_a_source_that_cannot_be_asked_whether_it_is_live_fails_alone(tmp_path):
    dead = open_source("http://127.0.0.1:9/x.mp4", timeout_seconds=2)
    with pytest.raises(SourceError):
        dead.live  # noqa: B018
    failed, good = runner(tmp_path).run([dead, square()])
    assert "127.0.0.1:9" in failed.error
    assert (good.error, good.frames) == (None, 6)


def test_a_watcher_that_cannot_start_fails_that_stream(tmp_path):
    class Refuses(Unwatched):
        finished = ()

        def start(self, source):
            if source.name == "a":
                raise SourceError("it is gone")

        def finish(self, summary):
            self.finished += (summary.stream,)

    watcher = Refuses()
    summaries = runner(tmp_path, watcher=watcher).run([square("a"), square("b")])
    assert [s.error for s in summaries] == ["it is gone", None]
    assert watcher.finished == ("a", "b")


def test_interruption_keeps_what_was_computed(tmp_path):
    class Interrupts(Unwatched):
        frames = 0

        def update(self, prediction):
            self.frames += 1
            if self.frames == 3:
                raise KeyboardInterrupt

    with pytest.raises(Interrupted) as interrupted:
        runner(tmp_path, watcher=Interrupts()).run([square(frames=500), square("next")])
    assert [r.index for r in load_results(tmp_path / "square")] == [0, 1, 2]
    told = json.loads((tmp_path / "summary.json").read_text())["streams"]
    assert [(s["stream"], s["frames"]) for s in told] == [("square", 3)]
    assert [(s.stream, s.frames) for s in interrupted.value.summaries] == [("square", 3)]


def test_a_full_disk_ends_the_stream_with_a_reason(tmp_path):
    def full(folder):
        (folder / "full.jsonl").symlink_to("/dev/full")
        return JsonLines(folder / "full.jsonl")

    summaries = runner(tmp_path, save=(full,)).run([square()])
    assert "full.jsonl" in summaries[0].error
    assert "No space left" in summaries[0].error


def test_a_picture_that_cannot_be_written_ends_the_stream_with_a_reason(tmp_path):
    def in_the_way(folder):
        (folder / "overview.png").mkdir()
        return Callback(print)

    summaries = runner(tmp_path, save=(in_the_way, "jsonl")).run([square()])
    assert "cannot write" in summaries[0].error
    assert "overview.png: Is a directory" in summaries[0].error
    assert len(load_results(tmp_path / "square")) == 6


def test_results_go_to_sinks_of_the_caller_as_well(tmp_path):
    seen = []

    def collect(folder):
        assert folder.is_dir()
        return Callback(lambda prediction, frame: seen.append((folder.name, frame.index)))

    runner(tmp_path, save=("jsonl", collect)).run([square("a", frames=2), square("b", frames=1)])
    assert seen == [("a", 0), ("a", 1), ("b", 0)]
    assert len(load_results(tmp_path / "a")) == 2


def test_a_later_run_leaves_no_results_of_a_former_one(tmp_path):
    former = runner(tmp_path, save=("jsonl", "csv"))
    former.run([square()])
    (tmp_path / "square" / "notes.txt").write_text("of the user")
    later = runner(tmp_path, save=("jsonl",), picture=False)
    summaries = later.run([square(frames=2)])
    assert result_files(tmp_path, summaries, later.save) == [
        tmp_path / "square/results.jsonl",
        tmp_path / "summary.json",
    ]
    left = {path.name for path in (tmp_path / "square").iterdir()}
    assert left == {"results.jsonl", "notes.txt"}


def test_a_stream_without_a_frame_leaves_no_folder(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    these = runner(tmp_path / "out")
    summaries = these.run([open_source(broken)])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["summary.json"]
    assert result_files(tmp_path / "out", summaries, these.save) == [tmp_path / "out/summary.json"]


def test_closing_the_sinks_counts(tmp_path):
    class Slow(Callback):
        closed = 0

        def close(self):
            time.sleep(0.3)
            Slow.closed += 1

    sinks = (lambda folder: Slow(print),)
    (summary,) = runner(tmp_path, save=sinks, picture=False).run([square(frames=1)])
    assert Slow.closed == 1
    assert summary.seconds["sinks"] >= 0.3
    assert summary.wall_seconds >= 0.3


def test_frames_that_are_decoded_and_left_out_count_as_decoded(tmp_path):
    (summary,) = runner(tmp_path).run([square(frames=6, stride=4)])
    assert (summary.decoded, summary.frames) == (6, 2)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="file"):
        runner(tmp_path / "file" / "out").run([square()])


def test_a_crash_is_not_swallowed(tmp_path):
    class Broken(StillModel):
        def __call__(self, frame, mask, cache):
            raise MemoryError("out of it")

    with pytest.raises(MemoryError):
        Runner(Broken(), lambda: Interval(2), tmp_path).run([square()])


def test_damage_is_in_the_summary(tmp_path, media):
    summaries = runner(tmp_path).run([open_source(media / "corrupted.mp4")])
    assert summaries[0].decoded == len(load_results(tmp_path / "corrupted"))
    assert summaries[0].damage
    assert np.isfinite([d.start_seconds for d in summaries[0].damage]).all()
