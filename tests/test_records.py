"""Predictions to records and result files, and back."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from streamdyn import (
    BlockGrid,
    BlockMask,
    Classification,
    Detections,
    Frame,
    Prediction,
    Segmentation,
    SinkError,
    load_results,
)
from streamdyn.records import (
    RESULT_FILES,
    from_record,
    from_rle,
    load_truth,
    read_decisions,
    read_results,
    to_record,
    to_rle,
    to_supervision,
)
from streamdyn.records.mask import mask_fields
from streamdyn.records.record import VERSION
from streamdyn.sinks import open_sink
from streamdyn.types import Audit, Result

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.floats(width=32, allow_infinity=False)  # NaN is kept, an infinity becomes one
seconds = st.floats(0, 1e6)
FRAME = Frame.from_image(np.zeros((2, 2, 3), np.uint8), index=0, pts_seconds=0.0)


@st.composite
def classifications(draw: st.DrawFn) -> Classification:
    return Classification(**draw(_scored(4)))


@st.composite
def detections(draw: st.DrawFn, corners: st.SearchStrategy[float] = numbers) -> Detections:
    scored = draw(_scored(5))
    boxes = hnp.arrays(np.float32, (len(scored["labels"]), 4), elements=corners)
    return Detections(draw(boxes), **scored)


@st.composite
def segmentations(draw: st.DrawFn) -> Segmentation:
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
    classes = draw(st.lists(names, min_size=1, max_size=5))
    labels = hnp.arrays(np.uint8, shape, elements=st.integers(0, len(classes) - 1))
    return Segmentation(draw(labels), tuple(classes))


@st.composite
def masks(draw: st.DrawFn) -> BlockMask:
    height, width = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    whole = (0, 0, height, width)
    picture = draw(st.sampled_from([None, whole, (-3, 0, height + 6, width + 1)]))
    grid = BlockGrid(height, width, draw(st.sampled_from([8, 32, 500])), picture)
    return BlockMask(grid, draw(hnp.arrays(np.bool_, grid.shape)))


@st.composite
def _scored(draw: st.DrawFn, most: int) -> dict[str, Any]:
    count = draw(st.integers(0, most))
    return {
        "scores": draw(hnp.arrays(np.float32, count, elements=numbers)),
        "labels": draw(hnp.arrays(np.int64, count)),
        "names": tuple(draw(st.lists(names, min_size=count, max_size=count))),
    }


@st.composite
def streams(draw: st.DrawFn, results: st.SearchStrategy[Result]) -> list[Prediction]:
    """A few frames of a stream, in which some repeat the result of the one before."""
    result = draw(results)
    predictions = []
    for index in range(draw(st.integers(1, 4))):
        reused = index > 0 and draw(st.booleans())
        result = result if reused else draw(results)
        predictions.append(
            Prediction(
                stream=draw(names),
                index=index,
                pts_seconds=draw(seconds),
                status="reused" if reused else "computed",
                age_frames=draw(st.integers(0, 1000)),
                age_seconds=draw(seconds),
                density=draw(st.floats(0, 1)),
                share=draw(st.floats(0, 1)),
                latency_seconds=draw(seconds),
                result=result,
                fault=draw(st.none() | st.text(st.characters(codec="utf-8"), min_size=1)),
                audit=draw(st.none() | st.builds(Audit, st.integers(0, 1000), st.floats(0, 1))),
                mask=draw(st.none() | masks()),
            )
        )
    return predictions


any_stream = st.one_of(map(streams, (classifications(), detections(), segmentations())))


def plain(value: object, without: tuple[str, ...] = ()) -> object:
    """A prediction or a part of it as values that compare by what they hold, types included."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, [plain(item) for item in value.ravel().tolist()]
    if dataclasses.is_dataclass(value):
        return type(value), {
            field.name: plain(getattr(value, field.name), without)
            for field in dataclasses.fields(value)
            if field.name not in ("seconds", *without)
        }
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def a_prediction(result: Result, index: int = 0, **changes: Any) -> Prediction:
    fields = {
        "stream": "cam",
        "index": index,
        "pts_seconds": index / 25,
        "status": "computed",
        "age_frames": 0,
        "age_seconds": 0.0,
        "density": 0.5,
        "share": 0.25,
        "latency_seconds": 0.01,
        "result": result,
    }
    return Prediction(**fields | changes)


def two_boxes() -> Detections:
    boxes = np.array([[0.1, 0.2, 10.3, 20.4], [1, 2, 3, 4]], np.float32)
    return Detections(boxes, np.array([0.9, 0.4], np.float32), np.array([7, 0]), ("dog", "cat"))


def three_classes() -> Segmentation:
    return Segmentation(np.array([[0, 2], [2, 2]], np.uint8), ("road", "sky", "car"))


def save(kind: str, folder: Path, predictions: list[Prediction]) -> Path:
    with open_sink(kind, folder) as sink:
        for prediction in predictions:
            sink(prediction, FRAME)
    return folder / RESULT_FILES[kind]


class TestRecord:
    def test_detection(self) -> None:
        record = to_record(a_prediction(two_boxes(), index=3))
        assert record == {
            "version": VERSION,
            "stream": "cam",
            "index": 3,
            "pts_seconds": 0.12,
            "status": "computed",
            "age_frames": 0,
            "age_seconds": 0.0,
            "density": 0.5,
            "share": 0.25,
            "latency_seconds": 0.01,
            "result": {
                "task": "detection",
                "boxes": [[0.1, 0.2, 10.3, 20.4], [1.0, 2.0, 3.0, 4.0]],
                "scores": [0.9, 0.4],
                "labels": [7, 0],
                "names": ["dog", "cat"],
            },
        }

    def test_segmentation(self) -> None:
        result = to_record(a_prediction(three_classes()))["result"]
        assert (result["size"], result["classes"]) == ([2, 2], ["road", "sky", "car"])
        assert [(s["label"], s["name"], s["area"]) for s in result["segments"]] == [
            (0, "road", 1),
            (2, "car", 3),
        ]
        assert from_rle(result["segments"][1]["rle"]).tolist() == [[False, True], [True, True]]

    def test_a_label_without_a_class_has_no_name(self) -> None:
        result = Segmentation(np.array([[0, 255]], np.uint8), ("road",))
        record = to_record(a_prediction(result))
        assert [s["name"] for s in record["result"]["segments"]] == ["road", ""]
        assert plain(from_record(record)) == plain(a_prediction(result))

    def test_holds_the_mask(self) -> None:
        mask = BlockGrid(64, 96, 32, (0, 8, 64, 80)).none()
        mask.active[1] = True
        record = to_record(a_prediction(two_boxes(), mask=mask))
        assert record["mask"] == {
            "grid": [64, 96, 32],
            "picture": [0, 8, 64, 80],
            "counts": to_rle(mask.active)["counts"],
        }
        assert "mask" not in to_record(a_prediction(two_boxes()))
        again = from_record(record).mask
        assert again is not None
        assert again.grid == mask.grid
        np.testing.assert_array_equal(again.active, mask.active)

    def test_a_mask_is_small(self) -> None:
        grid = BlockGrid(1088, 1920, 32)  # 2040 blocks
        moving = grid.none()
        moving.active[10:20, 30:35] = True
        for mask in (grid.none(), grid.all(), moving):
            assert len(json.dumps(mask_fields(mask))) < 80

    @pytest.mark.parametrize(("version", "says"), [(None, None), (VERSION + 1, "later streamdyn")])
    def test_other_versions(self, version: int | None, says: str | None) -> None:
        record = to_record(a_prediction(two_boxes())) | {"version": version}
        if says is None:
            assert plain(from_record(record)) == plain(a_prediction(two_boxes()))
        else:
            with pytest.raises(SinkError, match=says):
                from_record(record)

    def test_tells_of_an_audit(self) -> None:
        record = to_record(a_prediction(two_boxes(), audit=Audit(41, 0.97)))
        assert (record["audit_index"], record["audit_agreement"]) == (41, 0.97)
        assert "audit_index" not in to_record(a_prediction(two_boxes()))

    def test_tells_of_a_fault(self) -> None:
        assert to_record(a_prediction(two_boxes(), fault="bad policy"))["fault"] == "bad policy"

    def test_says_only_what_json_can(self) -> None:
        scores = np.array([np.nan, np.inf], np.float32)
        result = Classification(np.array([0, 1]), scores, ("a", "b"))
        record = to_record(a_prediction(result, share=np.float32(np.nan)))
        again = from_record(json.loads(json.dumps(record, allow_nan=False)))
        assert record["share"] is None
        assert math.isnan(again.share)
        assert np.isnan(again.result.scores).all()

    @given(any_stream)
    def test_round_trip(self, predictions: list[Prediction]) -> None:
        for prediction in predictions:
            record = json.loads(json.dumps(to_record(prediction), allow_nan=False))
            assert plain(from_record(record)) == plain(prediction)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"index": None}, "wrong kind"),
            ({"status": "skipped"}, "computed or reused"),
            ({"result": None}, "wrong kind"),
            ({"result": {}}, "task"),
            ({"result": {"task": "depth"}}, "'depth'"),
            ({"mask": {"grid": [64, 96, 32]}}, "counts"),
            ({"mask": {"grid": [64, 96, 0], "counts": "06"}}, "positive"),
            ({"mask": {"grid": [64, 96, 16], "counts": "06"}}, "do not fill"),
            ({"result": {"task": "detection", "boxes": []}}, "scores"),
        ],
    )
    def test_malformed(self, change: dict[str, Any], says: str) -> None:
        with pytest.raises(SinkError, match=says):
            from_record(to_record(a_prediction(two_boxes())) | change)

    @pytest.mark.parametrize("part", ["boxes", "scores", "labels", "names"])
    def test_parts_of_different_lengths(self, part: str) -> None:
        record = to_record(a_prediction(two_boxes()))
        del record["result"][part][0]
        with pytest.raises(SinkError, match="1 "):
            from_record(record)

    @pytest.mark.parametrize("change", [{"size": [3, 2]}, {"segments": []}])
    def test_segments_that_do_not_cover_the_picture(self, change: dict[str, Any]) -> None:
        record = to_record(a_prediction(three_classes()))
        record["result"] |= change
        with pytest.raises(SinkError, match=r"3x2|0 of 4 pixels"):
            from_record(record)


class TestRle:
    @given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)))
    def test_round_trip(self, mask: np.ndarray) -> None:
        rle = json.loads(json.dumps(to_rle(mask)))
        np.testing.assert_array_equal(from_rle(rle), mask)

    # Its own use of numpy is out of date.
    @pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
    @given(st.integers(0, 2**32 - 1), st.floats(0, 1))
    def test_decodes_as_pycocotools_does(self, seed: int, inside: float) -> None:
        mask = np.random.default_rng(seed).random((37, 53)) < inside
        rle = to_rle(mask)
        np.testing.assert_array_equal(from_rle(rle), coco.decode(rle))

    @given(st.integers(-1, 5), st.integers(-1, 5), st.text(st.characters(codec="utf-8")))
    def test_garbage_is_refused_or_is_a_mask(self, height: int, width: int, counts: str) -> None:
        try:
            mask = from_rle({"size": [height, width], "counts": counts})
        except ValueError:
            return
        assert mask.shape == (height, width)
        np.testing.assert_array_equal(from_rle(to_rle(mask)), mask)


class TestSupervision:
    @given(detections(st.floats(0, 1e4, width=32)))
    def test_says_the_same(self, given: Detections) -> None:
        converted = to_supervision(given)
        np.testing.assert_array_equal(converted.xyxy, given.boxes)
        np.testing.assert_array_equal(converted.confidence, given.scores)
        np.testing.assert_array_equal(converted.class_id, given.labels)
        # numpy's strings cannot end in NUL
        assert converted["class_name"].tolist() == [name.rstrip("\0") for name in given.names]


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
