"""Decisions that are made again: run, save, replay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from streamdyn import (
    Frame,
    Pipeline,
    Policy,
    PolicyError,
    Prediction,
    load_model,
    load_policy,
    load_results,
    open_source,
)
from streamdyn.cli import main
from streamdyn.policies import Change, Interval, Random, Replay
from streamdyn.sinks import open_sink
from streamdyn.testing import StillModel, frames

CLIP = "synthetic:street?height=96&width=160&frames=12&seed=5"


def save(folder: Path, policy: Policy, stream: Iterator[Frame], kind: str = "jsonl") -> list:
    predictions = []
    with open_sink(kind, folder) as sink:
        for frame, prediction in Pipeline(StillModel(), policy).pairs(stream):
            sink(prediction, frame)
            predictions.append(prediction)
    return predictions


def replay(folder: Path, stream: Iterator[Frame], block: int = 32) -> list[Prediction]:
    return list(Pipeline(StillModel(block=block), Replay(str(folder))).run(stream))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    "policy", [Change(), Interval(every=3), Random(density=0.4)], ids=["blocks", "frames", "random"]
)
def test_computes_what_was_computed(kind: str, policy: Policy, tmp_path: Path) -> None:
    before = save(tmp_path, policy, frames(12), kind)
    again = replay(tmp_path, frames(12))
    assert [p.fault for p in again] == [None] * 12
    for old, new in zip(before, again, strict=True):
        np.testing.assert_array_equal(new.mask.active, old.mask.active)


def test_the_same_model_says_the_same(tmp_path: Path) -> None:
    """A whole round by the command, with a network: run, save, replay, and compare."""
    run = ["run", CLIP, "--save", "jsonl", "--policy"]
    assert main([*run, "Change(threshold=6, grow=1)", "--out", str(tmp_path / "a")]) == 0
    policy = f"Replay(results={str(tmp_path / 'a' / 'street')!r})"
    assert main([*run, policy, "--out", str(tmp_path / "b")]) == 0
    first, second = (load_results(tmp_path / name / "street") for name in "ab")
    assert len(first) == 12
    assert 0 < sum(p.density for p in first[1:]) < 11
    for old, new in zip(first, second, strict=True):
        assert new.fault is None
        np.testing.assert_array_equal(new.mask.active, old.mask.active)
        np.testing.assert_array_equal(new.result.labels, old.result.labels)


def test_another_setting_of_the_engine_gets_the_same_masks(tmp_path: Path) -> None:
    main(["run", CLIP, "--policy", "Change(threshold=6)", "--out", str(tmp_path)])
    again = Pipeline(load_model("street", threads=1), Replay(str(tmp_path / "street")))
    masks = [p.mask for p in again.run(open_source(CLIP))]
    for old, mask in zip(load_results(tmp_path / "street"), masks, strict=True):
        np.testing.assert_array_equal(mask.active, old.mask.active)


def later(stream: Iterator[Frame], seconds: float) -> Iterator[Frame]:
    for frame in stream:
        pts_seconds = frame.pts_seconds + seconds
        yield Frame.from_image(
            frame.image, index=frame.index, pts_seconds=pts_seconds, stream=frame.stream
        )


@pytest.mark.parametrize(
    ("stream", "block", "says"),
    [
        (lambda: frames(12), 16, "block=32.* the model .*block=16"),
        (lambda: frames(12, stream="door"), 32, "is of 'test', not of 'door'"),
        (lambda: later(frames(12), 1.0), 32, "frame 1 at 0.040 s, this stream at 1.040 s"),
    ],
)
def test_another_stream_or_grid_is_refused(stream, block, says, tmp_path: Path) -> None:
    save(tmp_path, Change(), frames(12))
    predictions = replay(tmp_path, stream(), block)
    assert [p.density for p in predictions] == [1] * 12  # computed whole, and reported
    assert all(p.fault for p in predictions[1:])
    assert re.search(says, predictions[1].fault)


def test_frames_beyond_the_results_are_computed_whole(tmp_path: Path) -> None:
    save(tmp_path, Interval(every=50), frames(6))
    predictions = replay(tmp_path, frames(8))
    assert [p.density for p in predictions] == [1, 0, 0, 0, 0, 0, 1, 1]
    assert "has no frame 6" in predictions[6].fault


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("results.jsonl", None, "there is no "),
        ("results.jsonl", "", "holds no frame"),
        ("results.jsonl", "{}\n", "line 1, is not the record"),
        ("results.txt", "", "is not a result file"),
    ],
)
def test_what_cannot_be_replayed(file: str, text: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / file
    if text is not None:
        path.write_text(text)
    with pytest.raises(PolicyError, match=says):
        load_policy(f"Replay(results={str(path)!r})")


def test_results_are_asked_for() -> None:
    with pytest.raises(PolicyError, match="missing a required argument: 'results'"):
        load_policy("Replay")
