"""Predictions to records and back: nothing is lost but what was asked for."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import BlockGrid, Classification, Detections, Prediction, Segmentation, SinkError
from streamdyn.records import from_record, from_rle, to_record, to_rle, to_supervision
from streamdyn.records.mask import mask_fields
from streamdyn.records.record import VERSION
from streamdyn.types import Audit
from tests.predictions_kit import a_prediction
from tests.records_kit import any_stream, detections, plain, three_classes, two_boxes


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


class TestSupervision:
    @given(detections(st.floats(0, 1e4, width=32)))
    def test_says_the_same(self, given: Detections) -> None:
        converted = to_supervision(given)
        np.testing.assert_array_equal(converted.xyxy, given.boxes)
        np.testing.assert_array_equal(converted.confidence, given.scores)
        np.testing.assert_array_equal(converted.class_id, given.labels)
        # numpy's strings cannot end in NUL
        assert converted["class_name"].tolist() == [name.rstrip("\0") for name in given.names]
