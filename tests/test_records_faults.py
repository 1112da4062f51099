"""Result files that are damaged, or hold something else, are refused in plain words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamdyn import Classification, SinkError, load_results
from streamdyn.records import read_results
from tests.predictions_kit import a_prediction
from tests.records_kit import save, two_boxes


class TestBadFiles:
    def damaged(self, folder: Path, damage: Callable[[str], str]) -> Path:
        path = save("jsonl", folder, [a_prediction(two_boxes(), i) for i in range(3)])
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([lines[0], damage(lines[1]), lines[2]]))
        return path

    @pytest.mark.parametrize(
        "damage",
        [
            lambda line: line[:50] + "\n",
            lambda line: "\n",
            lambda line: "[1, 2]\n",
            lambda line: line.replace('"boxes"', '"bags"'),
            lambda line: line.replace('"status"', '"state"'),
        ],
    )
    def test_names_the_file_and_the_line(
        self, tmp_path: Path, damage: Callable[[str], str]
    ) -> None:
        path = self.damaged(tmp_path, damage)
        predictions = read_results(path)
        assert next(predictions).index == 0
        with pytest.raises(SinkError, match=r"results\.jsonl, line 2,"):
            next(predictions)

    @pytest.mark.parametrize("kind", ["jsonl", "csv"])
    @pytest.mark.parametrize("missing", [1, 30])
    def test_a_last_line_that_is_cut_off_is_left_out(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, missing: int
    ) -> None:
        best = Classification(np.array([7]), np.array([0.5], np.float32), ("dog",))
        path = save(kind, tmp_path, [a_prediction(best, i) for i in range(3)])
        path.write_bytes(path.read_bytes()[:-missing])
        assert [p.index for p in load_results(path)] == [0, 1]
        assert f"{path} is cut off" in caplog.text

    def test_names_the_line_of_a_csv(self, tmp_path: Path) -> None:
        path = save("csv", tmp_path, [a_prediction(two_boxes(), i) for i in range(2)])
        path.write_text(path.read_text().replace("10.3", "wide"))
        with pytest.raises(SinkError, match=r"results\.csv, line 2,.*wide"):
            load_results(path)

    def test_foreign_columns(self, tmp_path: Path) -> None:
        path = tmp_path / "table.csv"
        path.write_text("a,b\n1,2\n")
        with pytest.raises(SinkError, match=r"table\.csv.*'stream'"):
            load_results(path)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match="there is no"):
            load_results(tmp_path / "results.jsonl")

    def test_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match=r"no results\.jsonl, results\.parquet"):
            load_results(tmp_path)

    def test_another_kind_of_file(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.touch()
        with pytest.raises(SinkError, match=r"not a result file.*\.jsonl"):
            load_results(path)
