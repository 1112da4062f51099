"""The spool: bounded, in order, and still there when the process is not."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import SinkError
from streamdyn.sinks.spool import Batch, Record, Spool
from tests.sinks_kit import ROOT, command

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 12)),
        st.tuples(st.just("claim"), st.integers(1, 4)),
        st.tuples(st.sampled_from(["settle", "crash"]), st.just(0)),
    ),
    max_size=40,
)


class Twin:
    """What a spool should do, in memory."""

    def __init__(self, most_records: int, most_bytes: int) -> None:
        self.most_records = most_records
        self.most_bytes = most_bytes
        self.waiting: list[Record] = []
        self.claimed = 0  # of those, from the oldest on
        self.dropped = 0

    def put(self, record: Record) -> None:
        if len(record.body) > self.most_bytes:
            self.dropped += 1
            return
        self.waiting.append(record)
        while len(self.waiting) > self.most_records or self.bytes() > self.most_bytes:
            del self.waiting[self.claimed]
            self.dropped += 1

    def bytes(self) -> int:
        return sum(len(record.body) for record in self.waiting)

    def claim(self, most_records: int) -> tuple[Record, ...]:
        self.claimed = self.claimed or min(most_records, len(self.waiting))
        return tuple(self.waiting[: self.claimed])

    def settle(self) -> None:
        del self.waiting[: self.claimed]
        self.claimed = 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.spool"


def record(number: int, size: int = 4) -> Record:
    return Record("cam", f"{number}".encode().rjust(size))


def fill(spool: Spool, count: int) -> list[Record]:
    records = [record(number) for number in range(count)]
    for each in records:
        spool.put(each)
    return records


def claim(spool: Spool, most_records: int = 100, most_bytes: int = 1 << 20) -> Batch:
    batch = spool.claim(most_records, most_bytes)
    assert batch is not None
    return batch


@given(OPERATIONS, st.integers(1, 6), st.integers(1, 30))
def test_does_what_a_list_does(
    operations: list[tuple[str, int]], most_records: int, most_bytes: int
) -> None:
    limits = {"most_records": most_records, "most_bytes": most_bytes}
    with TemporaryDirectory() as folder:
        path = Path(folder, "spool")
        spool, twin = Spool(path, **limits), Twin(**limits)
        dropped = 0  # by spools that are closed
        for number, (operation, argument) in enumerate(operations):
            match operation:
                case "put":
                    for each in (spool, twin):
                        each.put(record(number, argument))
                case "claim":
                    batch = spool.claim(argument, 1 << 20)
                    assert (batch.records if batch else ()) == twin.claim(argument)
                case "settle":
                    spool.settle()
                    twin.settle()
                case "crash":
                    dropped += spool.dropped
                    spool._db.close()  # as the system does it
                    spool = Spool(path, **limits)
            assert (len(spool), dropped + spool.dropped) == (len(twin.waiting), twin.dropped)
        spool.close()


class TestBatches:
    def test_a_batch_stays_the_same_until_it_is_settled(self, path: Path) -> None:
        spool = Spool(path)
        fill(spool, 3)
        first = claim(spool, 2)
        fill(spool, 1)
        assert claim(spool) == first
        spool.settle()
        assert claim(spool).key != first.key
        spool.close()

    def test_a_batch_stays_the_same_after_a_crash(self, path: Path) -> None:
        spool = Spool(path)
        fill(spool, 3)
        first = claim(spool, 2)
        spool._db.close()
        again = Spool(path)
        assert claim(again) == first
        again.close()

    def test_no_two_batches_have_one_key(self, path: Path) -> None:
        keys = []
        for _ in range(3):  # the file goes each time
            spool = Spool(path)
            for _ in range(2):
                fill(spool, 1)
                keys.append(claim(spool).key)
                spool.settle()
            spool.close()
            assert not path.exists()
        assert len(set(keys)) == 6

    def test_is_no_larger_than_it_may_be_but_has_at_least_one(self, path: Path) -> None:
        spool = Spool(path)
        records = fill(spool, 5)
        assert claim(spool, most_bytes=8).records == tuple(records[:2])
        spool.settle()
        assert claim(spool, most_bytes=1).records == tuple(records[2:3])
        spool.settle()
        assert claim(spool, most_records=1).records == tuple(records[3:4])
        spool.close()

    def test_nothing_waits(self, path: Path) -> None:
        spool = Spool(path)
        assert spool.claim(10, 10) is None
        spool.close()


def put_without_end(path: str) -> None:
    """Run in a process of its own, which is killed."""
    spool = Spool(Path(path))
    for number in range(10**9):
        spool.put(record(number, 12))
        print(number, flush=True)


def put_beyond_the_limit(path: str) -> None:
    """Run in a process of its own, for the limit cannot be lifted again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    spool = Spool(Path(path))
    try:
        for number in range(1000):
            spool.put(record(number, 1000))
    except SinkError as error:
        print(error)


class TestFile:
    def test_what_a_killed_process_has_put_is_there(self, path: Path) -> None:
        running = subprocess.Popen(
            command(put_without_end, str(path)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert running.stdout is not None
        told = [next(running.stdout) for _ in range(100)]
        running.kill()
        told += running.communicate()[0].splitlines(keepends=True)
        spool = Spool(path)
        found = claim(spool, 10**9, 10**9).records
        spool.close()
        said = sum(line.endswith("\n") for line in told)
        assert [int(each.body) for each in found] == list(range(len(found)))
        assert len(found) in (said, said + 1)  # it may be killed before it says so

    def test_stays_while_something_waits(self, path: Path) -> None:
        spool = Spool(path)
        records = fill(spool, 2)
        spool.close()
        spool.close()
        again = Spool(path)
        assert claim(again).records == tuple(records)
        again.settle()
        again.close()
        assert not list(path.parent.iterdir())

    def test_belongs_to_one_process(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Spool, "BUSY_SECONDS", 0.05)
        spool = Spool(path)
        with pytest.raises(SinkError, match=r"out\.spool is in use by another process; end it"):
            Spool(path)
        spool.close()
        Spool(path).close()

    def test_is_no_spool(self, path: Path) -> None:
        path.write_bytes(b"index,stream\n" * 1000)
        with pytest.raises(SinkError, match=r"out\.spool is damaged: .*; remove it"):
            Spool(path)

    def test_cannot_be_opened(self, path: Path) -> None:
        path.mkdir()
        with pytest.raises(SinkError, match=r"cannot write .*out\.spool: unable to open"):
            Spool(path)

    def test_a_full_disk(self, path: Path) -> None:
        done = subprocess.run(
            command(put_beyond_the_limit, str(path)),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"cannot write {path}: " in done.stdout

    def test_does_not_grow_beyond_its_limit(self, path: Path) -> None:
        spool = Spool(path, most_bytes=50_000)
        for number in range(1000):
            spool.put(record(number, 1000))
        assert (len(spool), spool.dropped) == (50, 950)
        assert path.stat().st_size < 100_000
        spool.close()
