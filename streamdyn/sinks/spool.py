"""A bounded queue on disk: what waits to be sent survives the process."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from streamdyn.errors import SinkError
from streamdyn.sinks.base import unwritable

_TABLES = """
CREATE TABLE IF NOT EXISTS record (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
    stream TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS state (
    name TEXT NOT NULL,  -- of this spool, unlike that of any other
    claimed INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One message."""

    stream: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that are sent together, in order."""

    key: str  # no other batch has it; the same when it is sent again, by a later process too
    records: tuple[Record, ...]


class Spool:
    """Keeps records until they are settled; when it is full, the oldest are dropped and counted.

    Records leave it in batches: `claim` hands out the same one until it is settled. What is claimed
    is not dropped. To be used by one thread at a time.

    Raises:
        SinkError: from any method: the file cannot be written, is no spool, or is in use.
    """

    BUSY_SECONDS = 2.0  # that another process may take to let go of the file

    def __init__(
        self, path: Path, *, most_records: int = 100_000, most_bytes: int = 256 << 20
    ) -> None:
        self.path = path
        self.dropped = 0
        self._most_records = most_records
        self._most_bytes = most_bytes  # of the messages; the file is a little larger
        self._records = self._bytes = 0  # that wait
        self._claimed = 0  # the last number of the batch that is being sent, or 0
        with self._errors():
            self._db = sqlite3.connect(path, timeout=self.BUSY_SECONDS, check_same_thread=False)
        try:
            self._load()
        except SinkError:
            self._db.close()
            raise

    def __len__(self) -> int:
        return self._records

    def put(self, record: Record) -> None:
        """Add a record, and drop the oldest while there is no room."""
        if len(record.body) > self._most_bytes:
            self.dropped += 1
            return
        with self._errors(), self._db:
            self._db.execute(
                "INSERT INTO record (stream, body) VALUES (?, ?)", (record.stream, record.body)
            )
            self._records += 1
            self._bytes += len(record.body)
            while self._records > self._most_records or self._bytes > self._most_bytes:
                self._drop()

    def claim(self, most_records: int, most_bytes: int) -> Batch | None:
        """The oldest records, as many as one batch may have, but at least one; None: none wait."""
        with self._errors(), self._db:
            if not self._claimed:
                self._claimed = self._end_of_batch(most_records, most_bytes)
                self._db.execute("UPDATE state SET claimed = ?", (self._claimed,))
            rows = self._db.execute(
                "SELECT stream, body FROM record WHERE number <= ? ORDER BY number",
                (self._claimed,),
            ).fetchall()
        records = tuple(Record(*row) for row in rows)
        return Batch(f"{self._name}-{self._claimed}", records) if records else None

    def settle(self) -> None:
        """Forget the batch that was claimed: it has arrived, or is not wanted."""
        with self._errors(), self._db:
            self._forget("number <= ?", self._claimed)
            self._claimed = 0
            self._db.execute("UPDATE state SET claimed = 0")

    def close(self) -> None:
        """Let go of the file, and remove it if nothing waits. Harmless when called again."""
        self._db.close()
        if not self._records:
            self.path.unlink(missing_ok=True)

    def _load(self) -> None:
        with self._errors(), self._db:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            # A crash of the process loses nothing; that of the machine the last moments.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_TABLES)
            if not self._db.execute("SELECT 1 FROM state").fetchone():
                self._db.execute("INSERT INTO state VALUES (?, 0)", (uuid4().hex,))
            self._name, self._claimed = self._db.execute("SELECT * FROM state").fetchone()
            self._records, self._bytes = self._db.execute(
                "SELECT count(*), coalesce(sum(length(body)), 0) FROM record"
            ).fetchone()

    def _end_of_batch(self, most_records: int, most_bytes: int) -> int:
        rows = self._db.execute(
            "SELECT number, length(body) FROM record ORDER BY number LIMIT ?", (most_records,)
        )
        end, total = 0, 0
        for number, size in rows:
            total += size
            if end and total > most_bytes:
                break
            end = number
        return end

    def _drop(self) -> None:
        self.dropped += self._forget(
            "number = (SELECT min(number) FROM record WHERE number > ?)", self._claimed
        )

    def _forget(self, which: str, number: int) -> int:
        rows = self._db.execute(
            f"DELETE FROM record WHERE {which} RETURNING length(body)", [number]
        )
        sizes = [size for (size,) in rows]
        self._records -= len(sizes)
        self._bytes -= sum(sizes)
        return len(sizes)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _spool_error(self.path, error) from None


def _spool_error(path: Path, error: sqlite3.Error) -> SinkError:
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:  # without its details
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return SinkError(f"{path} is in use by another process; end it, or name another folder")
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return SinkError(f"{path} is damaged: {error}; remove it, what waits in it is lost")
        case sqlite3.SQLITE_FULL:
            return unwritable(path, errno.ENOSPC, "")
        case sqlite3.SQLITE_READONLY:
            return unwritable(path, errno.EROFS, "")
        case _:
            return unwritable(path, None, str(error))
