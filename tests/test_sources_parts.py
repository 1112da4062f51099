"""The parts that sources are made of: clock, damage, selection, orientation, names, live reader."""

from __future__ import annotations

import doctest
import itertools
import threading
import time
from collections.abc import Generator
from fractions import Fraction
from pathlib import PurePath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.errors import SourceError
from streamdyn.sources import naming, open_source
from streamdyn.sources.access_pyav import split_runs
from streamdyn.sources.clock import Clock
from streamdyn.sources.damage import DamageWatch
from streamdyn.sources.live import Reader, paced
from streamdyn.sources.naming import distinct_names, natural_order, safe_name
from streamdyn.sources.orientation import Orientation
from streamdyn.sources.pixels import ArrayPixels
from streamdyn.sources.report import KEPT_DAMAGE, SourceReport
from streamdyn.sources.resume import Resume, continued
from streamdyn.sources.selection import Picture, Selection
from streamdyn.sources.stopping import Stop
from streamdyn.types import Frame

MILLISECONDS = Fraction(1, 1000)
PIXELS = ArrayPixels(np.zeros((2, 2, 3), np.uint8), "rgb")

stamps = st.lists(st.none() | st.integers(-(10**9), 10**9), max_size=50)
sorted_times = st.lists(st.integers(0, 10**6), min_size=1, max_size=60, unique=True).map(sorted)


def pictures(times: list[float]) -> Generator[Picture]:
    yield from (Picture(time, PIXELS, (2, 2)) for time in times)


@given(stamps)
def test_time_always_increases(stamps: list[int | None]) -> None:
    clock = Clock(MILLISECONDS, 0.0, 0.04)
    times = [clock.seconds(stamp) for stamp in stamps]
    assert all(before < after for before, after in itertools.pairwise(times))


@given(sorted_times)
def test_increasing_stamps_are_believed(stamps: list[int]) -> None:
    clock = Clock(MILLISECONDS, 0.0, 0.04)
    assert [clock.seconds(stamp) for stamp in stamps] == [stamp / 1000 for stamp in stamps]


def test_stamps_that_are_missing_or_repeated() -> None:
    clock = Clock(MILLISECONDS, 5.0, 0.04)
    times = [clock.seconds(stamp) for stamp in (None, None, 5060, 5060, 5000, 5100)]
    assert times == pytest.approx([5, 5.04, 5.06, 5.06, 5.06, 5.1], abs=1e-5)


def test_one_late_frame_does_not_move_the_clock_but_a_new_beginning_does() -> None:
    clock = Clock(MILLISECONDS, 0.0, 0.04)
    times = [clock.seconds(stamp) for stamp in (9000, 100, 9040, 9080, 0, 40, 80)]
    assert times == pytest.approx([9, 9, 9.04, 9.08, 9.08, 9.12, 9.16], abs=1e-5)


def test_a_swallowed_picture_is_found_after_an_error() -> None:
    report = SourceReport()
    watch = DamageWatch(report, MILLISECONDS, 0.04, strict=False)
    for stamp in (0, 120, 40, 80):
        watch.sent(stamp)
    watch.failed(40, "bad")
    for stamp in (0, 80, 120):
        watch.came(stamp)
    watch.ended()
    (damage,) = report.damage
    assert (damage.start_seconds, damage.end_seconds, damage.what) == (0.04, 0.08, "bad")


def test_without_an_error_a_packet_may_show_nothing() -> None:
    report = SourceReport()
    watch = DamageWatch(report, MILLISECONDS, 0.04, strict=False)
    for stamp in (0, 39, 40):
        watch.sent(stamp)
    for stamp in (0, 40):
        watch.came(stamp)
    watch.ended()
    assert report.damage == []


def test_without_an_error_a_picture_is_lost_where_each_packet_shows_one() -> None:
    report = SourceReport()
    watch = DamageWatch(report, MILLISECONDS, 0.04, strict=True)
    for stamp in (-80, -40, 0, 40, 80, 120):
        watch.sent(stamp)
    for stamp in (0, 80):  # what is missing before the first may refer to what never was there
        watch.came(stamp)
    watch.ended()
    lost = [(damage.start_seconds, damage.end_seconds) for damage in report.damage]
    assert lost == [(0.04, 0.16)]  # neighbours, so they are one


def test_an_error_that_loses_no_picture_is_still_told() -> None:
    report = SourceReport()
    watch = DamageWatch(report, MILLISECONDS, 0.04, strict=False)
    for stamp in (0, 40, 80):
        watch.sent(stamp)
        if stamp == 40:
            watch.failed(stamp, "bad")
        watch.came(stamp)
    watch.ended()
    (damage,) = report.damage
    assert (damage.start_seconds, damage.end_seconds) == pytest.approx((0.04, 0.08))


def test_what_never_came_before_the_end_is_lost() -> None:
    report = SourceReport()
    watch = DamageWatch(report, MILLISECONDS, 0.04, strict=False)
    for stamp in (0, 40, 80):
        watch.sent(stamp)
    watch.came(0)
    watch.failed(None, "bad")
    watch.ended()
    (damage,) = report.damage
    assert (damage.start_seconds, damage.end_seconds) == pytest.approx((0.04, 0.12))


def test_damaged_ranges_merge_with_neighbours_of_the_same_kind_and_stay_sorted() -> None:
    report = SourceReport()
    report.add_damage(2.0, 2.1, "bad", gap_seconds=0.1)
    report.add_damage(2.15, 2.3, "bad", gap_seconds=0.1)
    report.add_damage(2.31, 2.4, "worse", gap_seconds=0.1)
    report.add_damage(1.0, 1.1, "bad", gap_seconds=0.1)
    assert [(d.start_seconds, d.end_seconds) for d in report.damage] == [
        (1.0, 1.1),
        (2.0, 2.3),
        (2.31, 2.4),
    ]


def test_of_endless_damage_the_newest_is_kept_and_the_rest_counted() -> None:
    report, other = SourceReport(), SourceReport()
    for n in range(KEPT_DAMAGE + 5):
        report.add_damage(n, n + 0.5, f"bad {n}")
        other.add_damage(n, n + 0.5, f"worse {n}")
    assert (report.damage[0].what, len(report.damage)) == ("bad 5", KEPT_DAMAGE)
    assert report.damage_forgotten == 5
    report.add(other)
    assert (report.damage[-1].what, len(report.damage)) == (f"worse {n}", KEPT_DAMAGE)
    assert report.damage_forgotten == 5 + 5 + KEPT_DAMAGE


@given(
    sorted_times,
    st.integers(1, 5),
    st.none() | st.floats(0.5, 100),
    st.none() | st.floats(0.01, 1000),
)
def test_selection(
    stamps: list[int], stride: int, max_fps: float | None, duration: float | None
) -> None:
    times = [stamp / 1000 for stamp in stamps]
    report = SourceReport()
    selection = Selection(stride=stride, max_fps=max_fps, duration=duration)
    frames = list(selection.choose(pictures(times), report, "cam"))
    within = [t for t in times if duration is None or t < times[0] + duration - 1e-6]
    assert report.decoded == len(within)
    assert frames[0].pts_seconds == times[0]
    for frame in frames:
        assert frame.index % stride == 0
        assert frame.pts_seconds == within[frame.index]
    if max_fps is None:
        assert len(frames) == -(-len(within) // stride)
    else:
        assert len(frames) <= (frames[-1].pts_seconds - times[0]) * max_fps + 1.01


def test_max_fps_keeps_every_frame_of_a_slower_stream() -> None:
    times = [number / 25 for number in range(100)]
    for max_fps, expected in [(25, 100), (30, 100), (12.5, 50), (5, 20)]:
        chosen = Selection(max_fps=max_fps).choose(pictures(times), SourceReport(), "cam")
        assert len(list(chosen)) == expected


@given(st.booleans(), st.integers(0, 3), st.integers(1, 5), st.integers(1, 5))
def test_points_turn_as_pictures_do(mirrored: bool, turns: int, height: int, width: int) -> None:
    orientation = Orientation(mirrored, turns)
    picture = np.arange(height * width).reshape(height, width)
    upright = orientation.turn(picture)
    assert upright.shape == orientation.size(height, width)
    y, x = np.mgrid[:height, :width]
    centres = np.stack([x.ravel(), y.ravel()], axis=1) + 0.5
    turned = (orientation.turn_points(centres, height, width) - 0.5).astype(int)
    np.testing.assert_array_equal(upright[turned[:, 1], turned[:, 0]], picture.ravel())


@given(st.text(max_size=200))
def test_any_text_makes_a_folder_name(text: str) -> None:
    name = safe_name(text)
    assert name
    assert name not in (".", "..")
    assert not set(name) & set('/\\:*?"<>|\0 \n')
    assert len(name) <= 100
    assert safe_name(name) == name


def test_a_cut_name_has_no_loose_end() -> None:
    assert safe_name("a" * 99 + " b") == "a" * 99


long_names = st.builds(
    lambda start, length, end: start * length + end,
    st.sampled_from("aA"),
    st.integers(96, 101),
    st.sampled_from(["", "b", "-2", ".c"]),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["cam", "Cam", "cam-2", "door"]) | long_names,
            st.sampled_from(["a", "b", "b" * 100]),
        )
    )
)
def test_names_are_distinct_whatever_the_case(streams: list[tuple[str, str]]) -> None:
    names = distinct_names((safe_name(name), f"{folder}/{name}.mp4") for name, folder in streams)
    assert len({name.casefold() for name in names}) == len(streams)
    assert [safe_name(name) for name in names] == names


def test_numbers_sort_as_numbers() -> None:
    names = ["f10.png", "F9.png", "f9b.png", "f.png", "f10a.png"]
    ordered = sorted(map(PurePath, names), key=natural_order)
    assert [path.name for path in ordered] == ["f.png", "F9.png", "f9b.png", "f10.png", "f10a.png"]


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(naming).failed == 0
    assert doctest.testmod(naming).attempted > 3


@given(st.sets(st.integers(0, 500), min_size=1), st.sets(st.integers(1, 500)))
def test_runs_cover_all_and_begin_where_seeking_pays(wanted: set[int], keys: set[int]) -> None:
    indices, starts = sorted(wanted), np.array(sorted(keys | {0}))
    runs = split_runs(indices, starts)
    assert [index for run in runs for index in run] == indices
    for before, after in itertools.pairwise(runs):
        assert starts[starts <= after[0]].max() > before[-1]  # a key frame lies between
    for run in runs:
        for one, next_one in itertools.pairwise(run):
            assert starts[starts <= next_one].max() - one < 20  # not far before


class Sender:
    """Frames that come when the test says so."""

    def __init__(self, count: int) -> None:
        self.ready = threading.Semaphore(0)
        self.taken = threading.Semaphore(0)
        self.closed = threading.Event()
        self._count = count

    def frames(self) -> Generator[Frame]:
        try:
            for index in range(self._count):
                self.ready.acquire()
                yield Frame(PIXELS, index=index, pts_seconds=index / 25, size=(2, 2), stream="cam")
                self.taken.release()
        finally:
            self.closed.set()

    def send(self, count: int) -> None:
        """Let so many frames come, and wait until all but the last were left behind."""
        for _ in range(count):
            self.ready.release()
            self.taken.acquire()


def newest(
    frames: Generator[Frame], report: SourceReport, timeout_seconds: float, url: str
) -> Generator[Frame]:
    return Reader(frames, report, timeout_seconds, Stop()).newest(url)


def test_a_slow_consumer_gets_the_newest_frame_and_the_rest_is_counted() -> None:
    camera, report = Sender(100), SourceReport()
    frames = newest(camera.frames(), report, 10, "cam")
    camera.ready.release()
    assert next(frames).index == 0
    camera.taken.acquire()
    camera.send(7)
    assert next(frames).index == 7
    camera.send(3)
    frames.close()
    camera.ready.release()
    assert camera.closed.wait(10)
    assert report.dropped == 6 + 3 + 1  # the last came after the consumer had gone


def test_a_live_stream_ends_with_its_last_frame() -> None:
    camera, report = Sender(3), SourceReport()
    camera.ready.release(3)
    indices = [frame.index for frame in newest(camera.frames(), report, 10, "cam")]
    assert indices[-1] == 2
    assert len(indices) + report.dropped == 3


def test_a_silent_camera_is_lost_after_its_deadline() -> None:
    camera, report = Sender(1), SourceReport()
    with pytest.raises(SourceError, match=r"cam stalled: no frame came for 0\.2 s"):
        list(newest(camera.frames(), report, 0.1, "cam"))
    camera.ready.release()
    assert camera.closed.wait(10)  # and its thread ends as soon as it can


def test_an_error_of_the_camera_reaches_the_consumer() -> None:
    def broken() -> Generator[Frame]:
        raise SourceError("cam was lost")
        yield

    with pytest.raises(SourceError, match="cam was lost"):
        list(newest(broken(), SourceReport(), 10, "cam"))


def test_a_file_that_is_forced_to_be_live_runs_at_its_own_pace() -> None:
    source = open_source("synthetic:square?frames=6&fps=50&height=8&width=8", live=True)
    assert source.live
    assert source.live_reason == "forced to be live"
    frames = list(source)
    report = source.report
    assert report.decoded == 6
    assert report.emitted + report.dropped == 6
    assert len(frames) == report.emitted >= 1


def test_a_live_source_that_is_thinned_out_does_not_stall() -> None:
    source = open_source(
        "synthetic:square?frames=60&fps=50&height=8&width=8",
        live=True,
        stride=30,
        timeout_seconds=0.2,
    )
    assert [frame.index for frame in source] == [0, 30]


def test_a_jump_in_time_is_not_waited_out() -> None:
    times = [0.0, 0.01, 7200.0, 7200.01]
    assert [picture.pts_seconds for picture in paced(pictures(times))] == times


@given(sorted_times, st.floats(0, 1e6), st.none() | st.floats(-1e4, 1e4))
def test_time_goes_on_after_a_place(stamps: list[int], seconds: float, ago: float | None) -> None:
    captured_at = None if ago is None else time.time() - ago
    place = Resume(3, seconds, captured_at)
    times = [p.pts_seconds for p in continued(pictures([s / 1000 for s in stamps]), place)]
    assert all(before < after for before, after in itertools.pairwise([seconds, *times]))
    if ago is not None and ago > 0:
        assert times[0] - seconds == pytest.approx(ago, abs=5)


def test_max_frames_of_a_live_source_counts_what_is_handed_over() -> None:
    source = open_source(
        "synthetic:square?frames=500&fps=100&height=8&width=8", live=True, max_frames=3
    )
    assert len(list(source)) == source.report.emitted == 3
