import json
import threading

import numpy as np
import pytest

from streamdyn import Policy, SinkError, load_policy, load_results, open_source
from streamdyn.policies import First, Interval
from streamdyn.runner import Runner, Unwatched
from streamdyn.sources.collection import SourceList
from streamdyn.testing import StillModel


def square(name="square", frames=6, **options):
    return open_source(
        f"synthetic:square?frames={frames}&height=96&width=160", name=name, **options
    )


def runner(folder, policy="Interval(every=2)", **options):
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


def test_interruption_keeps_what_was_computed(tmp_path):
    class Interrupts(Unwatched):
        frames = 0

        def update(self, prediction):
            self.frames += 1
            if self.frames == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner(tmp_path, watcher=Interrupts()).run([square(frames=500), square("next")])
    assert [r.index for r in load_results(tmp_path / "square")] == [0, 1, 2]
    told = json.loads((tmp_path / "summary.json").read_text())["streams"]
    assert [(s["stream"], s["decoded"]) for s in told] == [("square", 3)]


def test_a_full_disk_ends_the_stream_with_a_reason(tmp_path):
    folder = tmp_path / "square"
    folder.mkdir()
    (folder / "results.jsonl").symlink_to("/dev/full")
    summaries = runner(tmp_path).run([square()])
    assert "results.jsonl" in summaries[0].error
    assert "No space left" in summaries[0].error


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
