"""What a run on a cluster decides: where streams go, when to give up, how many processes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.cluster.crashes import AT_ONE_PLACE, AT_ONE_PLACE_SHARED, MOST, SECONDS, Crashes
from streamdyn.cluster.placement import moves, place
from streamdyn.cluster.sizing import Sizes, actor_options, sizes
from streamdyn.specs import EngineSettings, Resources


def test_crashes_that_are_far_apart_are_forgiven():
    crashes = Crashes()
    assert [crashes.note(n * SECONDS / MOST * 1.01, n, live=True) for n in range(50)] == [None] * 50
    assert crashes.count == 50


@pytest.mark.parametrize("live", [True, False])
def test_many_crashes_in_a_short_time_are_too_many(live):
    crashes = Crashes()
    assert [crashes.note(n, n, live=live) for n in range(MOST)] == [None] * MOST
    assert crashes.note(MOST, MOST, live=live) == f"{MOST + 1} crashes in 60 s"


def test_crashes_without_a_result_are_too_many_sooner():
    crashes = Crashes()
    notes = [crashes.note(n * 2 * SECONDS, 6, live=False) for n in range(AT_ONE_PLACE)]
    assert notes[:-1] == [None] * (AT_ONE_PLACE - 1)
    assert notes[-1] == f"{AT_ONE_PLACE} crashes in a row without a result between"


def test_a_camera_that_is_off_for_days_is_not_given_up():
    crashes = Crashes()
    assert [crashes.note(n * SECONDS, 6, live=True) for n in range(100)] == [None] * 100


def test_progress_makes_them_new_ones():
    crashes = Crashes()
    for results in (1, 1, 2, 2, 3):
        assert crashes.note(0.0, results, live=False) is None
    assert crashes.in_a_row == 1


def test_what_others_may_be_to_blame_for_takes_longer():
    crashes = Crashes()
    assert [crashes.note(n, n, live=False, shared=True) for n in range(20)] == [None] * 20
    notes = [crashes.note(20 + n, 99, live=False, shared=True) for n in range(AT_ONE_PLACE_SHARED)]
    assert notes[:-1] == [None] * (AT_ONE_PLACE_SHARED - 1)
    assert notes[-1]


loads = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.lists(st.floats(0, 1), max_size=6),
    min_size=1,
).map(
    lambda found: {
        worker: {f"{worker}{n}": load for n, load in enumerate(values)}
        for worker, values in found.items()
    }
)


def applied(loads, found):
    """The loads when these moves are done."""
    done = {
        worker: {name: load for name, load in streams.items() if name not in found}
        for worker, streams in loads.items()
    }
    every = {name: load for streams in loads.values() for name, load in streams.items()}
    for name, worker in found.items():
        done[worker][name] = every[name]
    return done


def largest(loads):
    return max(sum(streams.values()) for streams in loads.values())


@given(loads)
def test_moves_make_the_largest_load_no_larger(loads):
    found = moves(loads)
    held = {name: worker for worker, streams in loads.items() for name in streams}
    assert all(held[name] != worker for name, worker in found.items())
    done = applied(loads, found)
    assert sorted(name for streams in done.values() for name in streams) == sorted(held)
    assert largest(done) <= largest(loads) + 1e-9
    if found:
        spread = [sum(values.values()) ** 2 for values in loads.values()]
        assert sum(sum(values.values()) ** 2 for values in done.values()) < sum(spread)


@given(loads)
def test_moves_come_to_an_end(loads):
    for _ in range(20):
        found = moves(loads)
        if not found:
            break
        loads = applied(loads, found)
    assert moves(loads) == {}


def test_a_new_worker_takes_half():
    loads = {"a": {f"s{n}": 0.1 for n in range(8)}, "b": {}}
    assert len(moves(loads)) == 4


def test_one_heavy_stream_stays_where_it_is():
    assert moves({"a": {"s": 1.0}, "b": {}}) == {}


def test_nothing_moves_between_no_workers():
    assert moves({}) == {}


@given(loads)
def test_a_stream_is_placed_where_least_is_to_do(loads):
    found = place(loads)
    assert sum(loads[found].values()) == min(sum(streams.values()) for streams in loads.values())


def test_of_idle_workers_that_with_fewest_streams_takes_one():
    assert place({"a": {"x": 0.0}, "b": {}, "c": {"y": 0.0, "z": 0.0}}) == "b"


@pytest.mark.parametrize(
    ("settings", "cores", "expected"),
    [
        ({}, 1, Sizes(1, 1)),
        ({}, 2, Sizes(1, 2)),
        ({}, 4, Sizes(1, 4)),
        ({}, 8, Sizes(1, 4)),
        ({}, 64, Sizes(12, 4)),
        ({"workers": 1}, 2, Sizes(1, 2)),
        ({"workers": 3}, 2, Sizes(3, 1)),
        ({"workers": 2}, 64, Sizes(2, 4)),
        ({"threads": 1}, 2, Sizes(2, 1)),
        ({"threads": 8}, 64, Sizes(6, 8)),
        ({"threads": 8}, 2, Sizes(1, 8)),
        ({"workers": 5, "threads": 7}, 2, Sizes(5, 7)),
    ],
)
def test_suits_the_machine_unless_told_otherwise(settings, cores, expected):
    assert sizes(EngineSettings(**settings), cores) == expected


@given(st.integers(0, 512), st.integers(1, 64) | st.none(), st.integers(1, 64) | st.none())
def test_there_is_always_a_worker(cores, workers, threads):
    found = sizes(EngineSettings(workers=workers, threads=threads), cores)
    assert found.workers >= 1
    assert found.threads >= 1
    if workers is None and threads is None and cores:
        assert found.workers * found.threads <= cores


def test_resources_are_asked_for_as_told():
    told = Resources(num_cpus=0.5, num_gpus=0.25, others={"camera": 1.0})
    options = actor_options(told, 4.0)
    assert (options["num_cpus"], options["num_gpus"]) == (0.5, 0.25)
    assert options["resources"] == {"camera": 1.0}
    assert actor_options(Resources(), 4.0)["num_cpus"] == 4.0
    assert actor_options(Resources(num_cpus=0.0), 4.0)["num_cpus"] == 0.0


@pytest.mark.parametrize(
    ("cores", "streams", "expected"),
    [(2, 1, Sizes(1, 2)), (2, 2, Sizes(2, 1)), (2, 8, Sizes(2, 1)), (4, 3, Sizes(1, 4)),
     (4, 4, Sizes(4, 1)), (64, 100, Sizes(12, 4))],
)  # fmt: skip
def test_a_few_cores_with_as_many_streams_get_a_worker_each(cores, streams, expected):
    assert sizes(EngineSettings(), cores, streams) == expected
