"""Result files and truths, read back: all of them, some, or only which blocks were computed."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from streamdyn import BlockGrid, Prediction, Segmentation, SinkError, load_results
from streamdyn.records import RESULT_FILES, load_truth, read_decisions, read_results, to_record
from tests.predictions_kit import a_prediction
from tests.records_kit import any_stream, plain, save, three_classes, two_boxes


@pytest.mark.parametrize("kind", RESULT_FILES)
class TestFiles:
    @given(predictions=any_stream)
    @settings(deadline=None)
    def test_round_trip(self, kind: str, predictions: list[Prediction]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            again = load_results(save(kind, Path(folder), predictions))
        left_out = ("mask",) if kind == "csv" else ()
        assert [plain(p, left_out) for p in again] == [plain(p, left_out) for p in predictions]

    def test_a_large_detailed_picture(self, kind: str, tmp_path: Path) -> None:
        labels = np.random.default_rng(0).integers(0, 2, (400, 800), np.uint8)
        given = a_prediction(Segmentation(labels, ("a", "b")))
        (again,) = load_results(save(kind, tmp_path, [given]))
        assert plain(again) == plain(given)

    def test_no_predictions(self, kind: str, tmp_path: Path) -> None:
        assert load_results(save(kind, tmp_path, [])) == []

    def test_reads_the_folder_of_a_stream(self, kind: str, tmp_path: Path) -> None:
        save(kind, tmp_path / "out" / "cam", [a_prediction(two_boxes())])
        assert len(load_results(tmp_path / "out" / "cam")) == 1
        with pytest.raises(SinkError, match=r"results\.jsonl.*give one of .*out/cam"):
            load_results(tmp_path / "out")

    def test_a_reused_result_is_one_object_again(self, kind: str, tmp_path: Path) -> None:
        result = three_classes()
        reused = a_prediction(result, 1, status="reused", age_frames=1)
        first, second = load_results(save(kind, tmp_path, [a_prediction(result), reused]))
        assert first.result is second.result

    def test_reads_lazily(self, kind: str, tmp_path: Path) -> None:
        path = save(kind, tmp_path, [a_prediction(two_boxes(), i) for i in range(3)])
        predictions = read_results(path)
        assert [next(predictions).index, next(predictions).index] == [0, 1]

    def test_noise_is_refused(self, kind: str, tmp_path: Path) -> None:
        path = tmp_path / RESULT_FILES[kind]
        path.write_bytes(np.random.default_rng(0).bytes(1000))
        with pytest.raises(SinkError, match=path.name):
            load_results(path)


class TestTruth:
    def test_by_index(self, tmp_path: Path) -> None:
        lines = [
            json.dumps({"index": index, "result": to_record(a_prediction(result))["result"]})
            for index, result in ((7, three_classes()), (9, three_classes()))
        ]
        path = tmp_path / "truth.jsonl.gz"
        path.write_bytes(gzip.compress("\n".join(lines).encode()))
        truth = load_truth(path)
        assert list(truth) == [7, 9]
        assert plain(truth[7]) == plain(three_classes())

    def test_boxes_are_no_segmentation(self, tmp_path: Path) -> None:
        path = tmp_path / "truth.jsonl.gz"
        path.write_bytes(gzip.compress(json.dumps(to_record(a_prediction(two_boxes()))).encode()))
        with pytest.raises(SinkError, match=r"truth\.jsonl\.gz, line 1,.*not a detection"):
            load_truth(path)

    @pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b"no" + b, lambda b: b[:3]])
    def test_damaged(self, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
        path = tmp_path / "truth.jsonl.gz"
        record = to_record(a_prediction(three_classes()))
        path.write_bytes(damage(gzip.compress(json.dumps(record).encode())))
        with pytest.raises(SinkError, match=r"truth\.jsonl\.gz"):
            load_truth(path)


class TestDecisions:
    @pytest.mark.parametrize("kind", ["jsonl", "parquet"])
    def test_are_the_masks_without_the_results(self, kind: str, tmp_path: Path) -> None:
        grid = BlockGrid(64, 96, 32)
        given = [
            a_prediction(three_classes(), i, mask=m)
            for i, m in enumerate((grid.all(), grid.none()))
        ]
        path = save(kind, tmp_path, given)
        found = list(read_decisions(path))
        assert [(d.stream, d.index, d.pts_seconds) for d in found] == [
            ("cam", 0, 0.0),
            ("cam", 1, 0.04),
        ]
        assert [d.mask.density for d in found] == [1, 0]
        assert found[0].mask.grid == grid

    @pytest.mark.parametrize("kind", RESULT_FILES)
    def test_need_masks(self, kind: str, tmp_path: Path) -> None:
        path = save(kind, tmp_path, [a_prediction(two_boxes())])
        with pytest.raises(SinkError, match=r"does not say which blocks.*--save jsonl"):
            list(read_decisions(path))

    def test_a_missing_file_is_told_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match="there is no"):
            read_decisions(tmp_path / "results.jsonl")
