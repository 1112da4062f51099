"""Delivery: whatever the receiver does, the stream goes on, and nothing is lost or out of order."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdyn import SinkError
from streamdyn.backoff import Backoff
from streamdyn.records import from_record, to_record
from streamdyn.sinks import SINKS, check_kind, open_sink, wants_frame
from streamdyn.sinks.address import Address
from streamdyn.sinks.delivery import Remote
from streamdyn.sinks.receiver import Refusal, UndeliveredError
from streamdyn.sinks.spool import Batch, Spool
from tests.receivers_kit import feed, prediction, wait_until

QUICK = Backoff(0.001, 0.002)


class Shelf:
    """A receiver in this process, which keeps what it takes.

    Args:
        plan: what to do with the batches to come: "take", "refuse", "fail", "fail for long", or
            "take and fail", as when the answer is lost; after that, all are taken.
    """

    batch_seconds = 0.0

    def __init__(self, plan: Sequence[str] = (), batch_records: int = 3) -> None:
        self.batch_records = batch_records
        self.plan = deque(plan)
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        self.busy = threading.Event()  # set once a batch has come
        self.open = threading.Event()  # unset, it hangs
        self.open.set()
        self._closed = False

    def __str__(self) -> str:
        return "the shelf"

    def send(self, batch: Batch) -> Refusal | None:
        self.busy.set()
        self.open.wait()
        if self._closed:
            raise UndeliveredError("it is closed")
        self.keys.append(batch.key)
        act = self.plan.popleft() if self.plan else "take"
        if act == "refuse":
            return Refusal(len(batch.records), "of no interest")
        if "take" in act:
            self.bodies += [record.body for record in batch.records]
        if "fail" in act:
            hopeless = act == "fail for long"
            raise UndeliveredError("rtsp://me:secret@host is on strike", hopeless=hopeless)
        return None

    def close(self) -> None:
        self._closed = True
        self.open.set()

    @property
    def indices(self) -> list[int]:
        return [json.loads(body)["index"] for body in self.bodies]


def remote(shelf: Shelf, folder: Path, **limits: int) -> Remote:
    return Remote(shelf, Spool(folder / "spool", **limits), backoff=QUICK, close_seconds=0.05)


def everything(sink: Remote) -> int:
    """All records that the sink accounts for."""
    told = sink.delivery
    return told.sent + told.waiting + told.dropped + told.refused


class TestRemote:
    @settings(max_examples=50)
    @given(
        st.lists(st.sampled_from(["take", "refuse", "fail", "take and fail"]), max_size=12),
        st.integers(1, 4),
    )
    def test_at_least_once_and_in_order(self, plan: list[str], batch_records: int) -> None:
        shelf = Shelf(plan, batch_records)
        with TemporaryDirectory() as folder:
            sink = remote(shelf, Path(folder))
            feed(sink, 0, 10)
            assert everything(sink) == 10
            wait_until(lambda: not sink.delivery.waiting)
            sink.close()
        told = sink.delivery
        first_seen = list(dict.fromkeys(shelf.indices))
        assert first_seen == sorted(first_seen)
        # One that was refused may have arrived before, and its answer have been lost.
        assert told.sent <= len(first_seen) <= 10
        assert (told.sent + told.refused, told.waiting, told.dropped) == (10, 0, 0)
        done = len(plan) - len(shelf.plan)
        assert told.retries == sum("fail" in act for act in plan[:done])
        assert told.refused > 0 or "refuse" not in plan[:done]
        assert told.refused == 0 or "refuse" in plan[:done]

    def test_sends_what_json_lines_have(self, tmp_path: Path) -> None:
        shelf = Shelf()
        with remote(shelf, tmp_path) as sink:
            feed(sink, 0, 2)
        with open_sink("jsonl", tmp_path) as file:
            feed(file, 0, 2)
        assert b"\n".join(shelf.bodies) + b"\n" == (tmp_path / "results.jsonl").read_bytes()
        read = from_record(json.loads(shelf.bodies[1]))
        assert to_record(read) == to_record(prediction(1))

    def test_a_batch_keeps_its_key(self, tmp_path: Path) -> None:
        shelf = Shelf(["fail", "fail", "take", "take"], batch_records=1)
        with remote(shelf, tmp_path) as sink:
            feed(sink, 0, 2)
            wait_until(lambda: not sink.delivery.waiting)
        assert len(shelf.keys) == 4
        assert len(set(shelf.keys[:3])) == 1
        assert shelf.keys[3] != shelf.keys[2]

    def test_does_not_wait_for_a_receiver_that_hangs(self, tmp_path: Path) -> None:
        shelf = Shelf()
        shelf.open.clear()
        sink = remote(shelf, tmp_path)
        feed(sink, 0, 1)
        shelf.busy.wait()
        feed(sink, 1, 100)  # would not come back if it did
        assert shelf.bodies == []
        assert sink.delivery.waiting == 100
        shelf.open.set()
        wait_until(lambda: not sink.delivery.waiting)
        sink.close()
        assert shelf.indices == list(range(100))

    def test_a_full_spool_drops_the_oldest(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        shelf = Shelf(batch_records=2)
        shelf.open.clear()
        sink = remote(shelf, tmp_path, most_records=6)
        feed(sink, 0, 1)
        shelf.busy.wait()  # the first is on its way
        feed(sink, 1, 20)
        assert everything(sink) == 20
        assert (sink.delivery.waiting, sink.delivery.dropped) == (6, 14)
        shelf.open.set()
        wait_until(lambda: not sink.delivery.waiting)
        sink.close()
        assert shelf.indices == [0, *range(15, 20)]
        assert [r.getMessage() for r in caplog.records] == [
            "the spool for the shelf is full: old results are dropped"
        ]

    def test_the_next_run_sends_the_rest(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        hanging, shelf = Shelf(), Shelf()
        hanging.open.clear()
        with remote(hanging, tmp_path) as sink:
            feed(sink, 0, 5)
        assert sink.delivery.waiting == 5
        assert "5 results for the shelf wait in" in caplog.text
        with remote(shelf, tmp_path) as sink:
            feed(sink, 5, 7)
            wait_until(lambda: not sink.delivery.waiting)
        assert (hanging.indices, shelf.indices) == ([], list(range(7)))
        assert sink.delivery.sent == 7
        assert not list(tmp_path.iterdir())

    def test_closing_cuts_the_wait_short(self, tmp_path: Path) -> None:
        shelf = Shelf(["fail"])
        sink = Remote(shelf, Spool(tmp_path / "spool"), backoff=Backoff(1e6, 1e6))
        feed(sink, 0, 1)
        wait_until(lambda: sink.delivery.retries)
        sink.close()
        assert shelf.indices == [0]

    def test_what_is_hopeless_is_tried_again_at_the_longest_wait(self, tmp_path: Path) -> None:
        shelf = Shelf(["fail for long"])
        sink = Remote(shelf, Spool(tmp_path / "spool"), backoff=Backoff(1e-3, 1e6))
        feed(sink, 0, 1)
        wait_until(lambda: sink.delivery.retries)
        time.sleep(0.1)  # in which it would have been tried a few times
        assert sink.delivery.retries == 1
        sink.close()
        assert shelf.indices == [0]

    def test_closing_again_is_harmless(self, tmp_path: Path) -> None:
        sink = remote(Shelf(), tmp_path)
        feed(sink, 0, 1)
        sink.close()
        sink.close()
        assert sink.delivery.sent == 1

    def test_leaves_no_thread(self, tmp_path: Path) -> None:
        before = threading.active_count()
        for act in ("take", "fail"):
            with remote(Shelf([act] * 1000), tmp_path) as sink:
                feed(sink, 0, 3)
        wait_until(lambda: threading.active_count() == before)

    def test_says_each_thing_once_and_no_password(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        shelf = Shelf(["fail", "fail", "refuse", "fail", "refuse"], batch_records=1)
        with remote(shelf, tmp_path) as sink:
            feed(sink, 0, 2)
            wait_until(lambda: not sink.delivery.waiting)
        assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
            (
                logging.WARNING,
                "cannot send results to the shelf: rtsp://***@host is on strike; they wait on disk",
            ),
            (logging.WARNING, "the shelf refuses results: of no interest"),
        ]
        assert (sink.delivery.refused, sink.delivery.retries) == (2, 3)
        assert sink.delivery.last_error == "of no interest"

    def test_a_spool_that_fails_in_the_thread(self, tmp_path: Path) -> None:
        shelf = Shelf()
        shelf.open.clear()
        sink = remote(shelf, tmp_path)
        feed(sink, 0, 1)
        shelf.busy.wait()
        sink._spool._db.close()  # as a disk that is gone does it
        shelf.open.set()
        wait_until(lambda: not sink._thread.is_alive())
        for act in (lambda: feed(sink, 1, 2), sink.close):
            with pytest.raises(SinkError, match=r"cannot write .*spool: Cannot operate on a clos"):
                act()


SECRET = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=9)


class TestAddress:
    def test_parts(self) -> None:
        address = Address.parse("mqtts://me:p%40%2F%23ss@[::1]:99/a/{stream}?status=true")
        assert str(address) == "mqtts://[::1]:99"
        assert (address.user, address.password) == ("me", "p@/#ss")
        assert (address.path, address.query) == ("/a/{stream}", "status=true")
        assert address.secure
        assert Address.parse("HTTP://HOST/").port == 80

    @given(SECRET, SECRET)
    def test_shows_no_secret(self, password: str, token: str) -> None:
        # Letters that stand in the rest of the URL anyway are no secret.
        password, token = f"pw-{password}", f"tk-{token}"
        url = f"https://me:{quote(password, safe='')}@host/{quote(token, safe='')}"
        address = Address.parse(url)
        assert address.password == password
        for shown in (str(address), repr(address), address.file_name):
            assert "pw-" not in shown
            assert "tk-" not in shown

    def test_a_new_password_is_no_new_file(self) -> None:
        names = {
            Address.parse(f"https://me:{word}@host/hook?token={word}").file_name
            for word in ("one", "two")
        }
        assert len(names) == 1
        assert Address.parse("https://me:one@host/other").file_name not in names

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("ftp://me:secret@host/x", r"cannot be sent to ftp://\*\*\*@host/x; .* mqtt://, mqtts"),
            ("mqtt:///topic", "cannot read the URL mqtt:///topic; it is SCHEME://"),
            ("mqtt://me:sec#ret@host/x", r"cannot read the URL mqtt://\*\*\*@host/x; .*%23 for #"),
            ("http://host:port/x", "cannot read the URL http://host:port/x"),
            ("http://host:99999/x", "cannot read the URL"),
            ("http://a..b/x", "cannot read the URL"),
            ("http://[::1/x", "cannot read the URL"),
            ("http://host/a b", "cannot read the URL"),
            ("http://host/a\nb", "cannot read the URL"),
        ],
    )
    def test_refuses_what_it_cannot_read(self, url: str, message: str) -> None:
        with pytest.raises(SinkError, match=message) as raised:
            check_kind(url)
        assert "sec" not in str(raised.value)


class TestKinds:
    def test_who_wants_frames(self, tmp_path: Path) -> None:
        wanting = {kind for kind in [*SINKS, "mqtt://h/t", "HTTPS://h/"] if wants_frame(kind)}
        assert wanting == {"video"}
        for kind in SINKS:
            with open_sink(kind, tmp_path) as sink:
                assert sink.wants_frame == wants_frame(kind)

    @pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
    def test_reads_no_pixels(self, kind: str, tmp_path: Path) -> None:
        with open_sink(kind, tmp_path) as sink:
            feed(sink, 0, 3)

    def test_suggests_a_kind(self) -> None:
        with pytest.raises(SinkError, match="did you mean jsonl"):
            wants_frame("json")


def test_a_spool_is_made_by_sqlite(tmp_path: Path) -> None:
    """Whoever wants to save what waits for a receiver that is gone can read it."""
    shelf = Shelf(["fail"] * 1000)
    with remote(shelf, tmp_path) as sink:
        feed(sink, 0, 2)
    with closing(sqlite3.connect(tmp_path / "spool")) as file:
        rows = file.execute("SELECT stream, body FROM record").fetchall()
    assert [(stream, json.loads(body)["index"]) for stream, body in rows] == [
        ("cam", 0),
        ("cam", 1),
    ]
