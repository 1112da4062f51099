"""Results as rows: JSON lines, CSV and Parquet."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from streamdyn import Frame, Segmentation, SinkError, load_results
from streamdyn.sinks import JsonLines, open_sink
from streamdyn.sinks.base import LineFile
from tests.sinks_kit import FILES, ROOT, boxes, command, feed, feed_and_stop, prediction_of


def write_without_end(path: str) -> None:
    """Run in a process of its own, which is killed."""
    LineFile.SECONDS = 0.02
    feed(JsonLines(path), count=10**9, result=boxes(500))


class TestJsonLines:
    def test_a_line_per_frame(self, tmp_path: Path) -> None:
        with open_sink("jsonl", tmp_path) as sink:
            feed(sink)
        lines = (tmp_path / "results.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert [record["index"] for record in records] == [0, 1, 2]
        assert list(records[0]) == [
            *("version", "stream", "index", "pts_seconds", "status", "age_frames", "age_seconds"),
            *("density", "share", "latency_seconds", "result"),
        ]
        assert records[0]["result"]["names"] == ["a, b", "a, b"]

    def test_a_stream_name_that_is_not_utf8(self, tmp_path: Path) -> None:
        name = os.fsdecode(b"caf\xe9")
        shown = Frame.from_image(np.zeros((2, 2, 3), np.uint8), index=0, pts_seconds=0, stream=name)
        with open_sink("jsonl", tmp_path) as sink:
            sink(prediction_of(shown, boxes()), shown)
        (tmp_path / "results.jsonl").read_text(encoding="utf-8", errors="strict")
        assert load_results(tmp_path)[0].stream == name

    def test_what_a_killed_process_wrote_can_be_read(self, tmp_path: Path) -> None:
        path = tmp_path / "results.jsonl"
        process = subprocess.Popen(command(write_without_end, str(path)), cwd=ROOT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not path.exists() or path.stat().st_size < 300_000):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        predictions = load_results(path)
        assert [p.index for p in predictions] == list(range(len(predictions)))
        assert len(predictions) > 10


class TestCsv:
    def test_a_row_per_box(self, tmp_path: Path) -> None:
        with open_sink("csv", tmp_path) as sink:
            feed(sink, count=1)
            feed(sink, count=1, result=boxes(0))
        with (tmp_path / "results.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["index"], row["name"], row["x2"]) for row in rows] == [
            ("0", "a, b", "17.142857"),
            ("0", "a, b", "51.42857"),
            ("0", "", ""),
        ]


class TestParquet:
    def test_rows_are_written_in_groups(self, tmp_path: Path) -> None:
        from pyarrow import parquet

        with open_sink("parquet", tmp_path) as sink:
            feed(sink, count=1300)
        metadata = parquet.read_metadata(tmp_path / "results.parquet")
        assert [metadata.row_group(n).num_rows for n in range(3)] == [512, 512, 276]

    def test_columns_are_typed(self, tmp_path: Path) -> None:
        from pyarrow import parquet

        with open_sink("parquet", tmp_path) as sink:
            feed(sink, result=boxes(0))
        schema = parquet.read_schema(tmp_path / "results.parquet")
        assert str(schema.field("boxes").type) == "list<element: list<element: float>>"
        assert str(schema.field("index").type) == "int64"


class TestTables:
    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_refuse_another_task(self, kind: str, tmp_path: Path) -> None:
        sky = Segmentation(np.zeros((2, 2), np.uint8), ("sky",))
        with open_sink(kind, tmp_path) as sink:
            feed(sink)
            with pytest.raises(SinkError, match=r"columns of detection, .* of segmentation"):
                feed(sink, result=sky)
        assert len(load_results(tmp_path)) == 3

    @pytest.mark.parametrize("kind", FILES)
    def test_are_whole_after_an_error(self, kind: str, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            feed_and_stop(open_sink(kind, tmp_path))
        assert [p.index for p in load_results(tmp_path)] == [0, 1, 2]
