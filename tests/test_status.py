"""The status: what is counted, how it is shown, and how it is written and read back."""

import io
import json
import re
import threading
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from streamdyn.errors import StreamdynError
from streamdyn.status import (
    Account,
    ActorStatus,
    Event,
    Rates,
    RunStatus,
    StatusFile,
    StreamStatus,
    explain,
    parse_status,
    to_dict,
)
from streamdyn.status.columns import COLUMNS, columns_within, shortened
from streamdyn.status.figures import Limit, StreamState
from streamdyn.status.live import Lines, LiveStatus
from streamdyn.status.table import Explanations, StatusTable
from tests.serve_kit import running, wait_until

COUNTS = st.builds(Account, *[st.integers(0, 10**9)] * 4)
SOME = st.floats(0, 1e6)
STREAMS = st.builds(
    StreamStatus,
    name=st.text("abcdef-_0", min_size=1, max_size=100),
    source=st.text(max_size=20),
    state=st.sampled_from(get_args(StreamState)),
    event=st.none()
    | st.builds(
        Event,
        SOME,
        st.sampled_from(get_args(StreamState)),
        st.none() | st.just("timeout"),
        frames_to_recover=st.none() | st.integers(0, 1000),
    ),
    account=COUNTS,
    rates=st.builds(Rates, SOME, SOME, SOME, SOME, SOME),
    density=st.none() | st.floats(0, 1),
    age_seconds=st.dictionaries(st.sampled_from(["p50", "p95", "p99"]), SOME),
    bytes_per_frame=st.none() | SOME,
    frames_to_recover=st.none() | st.integers(0, 1000),
    worker=st.none() | st.just("worker-1"),
    limit=st.none() | st.sampled_from(get_args(Limit)),
    limit_shares=st.dictionaries(st.sampled_from(get_args(Limit)), st.floats(0, 1)),
)
ACTOR = ActorStatus("decoder-1", "decoder", 12, "node-1", ("a", "b"), 0.4, 10**8, True)
STATUSES = st.builds(
    RunStatus, SOME, SOME, st.lists(STREAMS, max_size=5).map(tuple), st.just((ACTOR,))
)


def printed(thing, width=80):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(thing, soft_wrap=isinstance(thing, Explanations))
    return console.file.getvalue()


@given(accounts=st.lists(COUNTS, max_size=5))
def test_what_was_captured_is_the_sum_of_all_ends(accounts):
    streams = tuple(StreamStatus(str(n), "x", account=a) for n, a in enumerate(accounts))
    told = to_dict(RunStatus(0.0, 0.0, streams))
    for account in (told["account"], *(stream["account"] for stream in told["streams"])):
        captured = account.pop("captured")
        assert captured == sum(account.values())
    assert told["account"] == {
        name: sum(getattr(account, name) for account in accounts)
        for name in ("computed", "reused", "dropped", "failed")
    }


@given(status=STATUSES)
def test_a_status_is_read_back_as_it_was_written(status):
    assert parse_status(json.dumps(to_dict(status)), "here") == status


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"at": 1, "uptime_seconds": "x"}', "\xff", '{"at": 1, "streams": 3}']
)
def test_what_is_no_status_is_told(text):
    with pytest.raises(StreamdynError, match=r"somewhere holds no status of a run: .*--status"):
        parse_status(text, "somewhere")


@given(status=STATUSES, width=st.integers(20, 250))
def test_the_table_fits_any_width_with_a_row_per_stream(status, width):
    lines = printed(StatusTable(status), width).splitlines()
    assert max(len(line) for line in lines) <= width
    chosen = columns_within(status.streams, width)
    assert [chosen[0].title, chosen[-1].title] == ["stream", "state"]
    assert len(lines) >= 2 + len(status.streams)


def test_what_is_most_important_is_shown_at_80_columns():
    status = RunStatus(0.0, 0.0, tuple(running(f"camera-{n}") for n in range(3)))
    header, _, row, *_ = printed(StatusTable(status)).splitlines()
    assert re.split("  +", header.strip()) == [
        *("stream", "fps in", "out", "dropped", "density", "age p50", "age p99", "limit", "state")
    ]
    assert re.split("  +", row.strip()) == [
        *("camera-0", "10.0", "7.9", "2.1", "5.0%", "0.10 s", "0.40 s", "engine", "running")
    ]
    assert len(columns_within(status.streams, 200)) == len(COLUMNS)


def test_the_table_shows_sums_processes_and_causes():
    lost = replace(
        running("b"), state="reconnecting", event=Event(1.0, "reconnecting", "timeout", "silent")
    )
    shown = printed(StatusTable(RunStatus(0.0, 0.0, (running("a"), lost), (ACTOR,))), 100)
    assert "reconnecting: timeout" in shown
    assert "2 streams, 200 frames: 40 computed, 118 reused, 42 dropped, 0 failed" in shown
    assert "decoder decoder-1 on node-1: 2 streams, 40% busy, 100 MB, draining" in shown


@given(text=st.text(max_size=60), longest=st.integers(3, 40))
def test_shortened_keeps_both_ends(text, longest):
    short = shortened(text, longest)
    assert len(short) <= longest
    assert short == text or (short[0] == text[0] and short[-1] == text[-1])


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({}, "7.9 of 10 fps; the engine limits it (92% of its time): lower the density, add"),
        ({"limit": "decode"}, "decoding limits it (8% of its time): take a smaller picture"),
        ({"limit": "sinks"}, "writing results limits it: save less"),
        ({"limit": None}, "7.9 of 10 fps; what limits it is not known yet"),
        (
            {"limit": "source", "rates": Rates(captured=10, computed=1, reused=9)},
            "10 fps; the source limits it: it gives no more frames",
        ),
        ({"rates": Rates()}, "no frames come"),
        ({"rates": Rates(), "account": Account()}, "no frames yet"),
        ({"state": "connecting", "event": None}, "connecting; no frames come"),
        (
            {"state": "reconnecting", "event": Event(1.0, "reconnecting", "timeout")},
            "reconnecting, timeout; no frames come",
        ),
        ({"state": "failed", "error": "five crashes"}, "failed, five crashes"),
        ({"state": "failed", "event": None}, "failed, for a reason that is not known"),
        ({"state": "ended"}, "ended after 100 frames, 21 dropped"),
        (
            {"state": "stopped", "account": Account(computed=1, dropped=2, failed=3)},
            "stopped after 6 frames, 2 dropped and 3 failed",
        ),
    ],
)
def test_what_limits_a_stream_is_said_in_words(figures, told):
    said = explain(running("cam3", **figures))
    assert said.startswith("cam3: ")
    assert told in said


@given(stream=STREAMS)
def test_every_stream_can_be_explained(stream):
    assert explain(stream).startswith(f"{stream.name}: ")
    assert printed(Explanations(RunStatus(0.0, 0.0, (stream,)))).count("\n") == 1


def test_a_status_file_is_whole_at_every_moment_and_holds_the_end(tmp_path):
    path = tmp_path / "status.json"
    current = [RunStatus(0.0, 0.0, tuple(running(f"cam{n}") for n in range(20)))]
    seen = set()
    with StatusFile(path, lambda: current[0], seconds=0.001):
        for at in range(1, 200):
            current[0] = replace(current[0], at=float(at))
            seen.add(parse_status(path.read_bytes(), "the file").at)
        current[0] = replace(current[0], at=1e9)
    assert len(seen) > 1
    assert parse_status(path.read_bytes(), "the file").at == 1e9
    assert list(tmp_path.iterdir()) == [path]


def test_a_status_file_that_cannot_be_written_is_told_before_the_run(tmp_path):
    path = tmp_path / "nowhere" / "status.json"
    with pytest.raises(StreamdynError, match=r"cannot write the status to .*No such file"):
        StatusFile(path, lambda: RunStatus(0.0, 0.0)).__enter__()


def test_a_status_file_that_fails_later_does_not_end_the_run(tmp_path, caplog):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "status.json"
    with StatusFile(path, lambda: RunStatus(0.0, 0.0), seconds=0.001):
        path.unlink()
        folder.rename(tmp_path / "elsewhere")
        wait_until(lambda: "cannot write the status" in caplog.text)
        (tmp_path / "elsewhere").rename(folder)
        wait_until(path.is_file)


def test_tries_that_fail_alike_are_told_once():
    lines = Lines(Console(file=io.StringIO(), width=100))
    refused, silent = (Event(0.0, "reconnecting", cause) for cause in ("refused", "timeout"))
    connecting, ok = Event(0.0, "connecting"), Event(0.0, "running")
    for event in (connecting, connecting, refused, connecting, refused, silent, ok, connecting):
        lines.event("cam3", event)
    told = [line.split(": ", 1)[1] for line in lines.console.file.getvalue().splitlines()]
    assert told == [
        *("connecting", "reconnecting, refused", "reconnecting, timeout", "running", "connecting")
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_figures_are_shown_while_they_change(terminal):
    console = Console(file=io.StringIO(), width=100, force_terminal=terminal)
    asked = threading.Event()

    def read():
        asked.set()
        return RunStatus(0.0, 0.0, (running("cam3"),))

    lines = Lines(console)
    with LiveStatus(console, read, seconds=0.001):
        lines.event("cam3", Event(0.0, "reconnecting", "timeout", "the camera is silent"))
        wait_until(lambda: "cam3: 7.9 of" in console.file.getvalue() or terminal)
        assert asked.wait(30)
    shown = console.file.getvalue()
    assert "cam3: reconnecting, timeout, the camera is silent\n" in shown
    assert ("age p99" in shown) == terminal
