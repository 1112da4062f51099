"""The motion vectors of video files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamdyn.sources import open_source
from tests.media_factory import write_video


def test_motion_is_turned_with_the_picture(tmp_path: Path) -> None:
    flat = list(open_source(write_video(tmp_path / "flat.mp4"), motion=True))
    turned = list(open_source(write_video(tmp_path / "turned.mp4", rotation=90), motion=True))
    checked = 0
    for before, after in zip(flat, turned, strict=True):
        if before.motion is None:
            assert after.motion is None
            continue
        x1, y1, x2, y2 = before.motion.boxes.T
        width = before.size[1]
        expected = np.stack([y1, width - x2, y2, width - x1], axis=1)
        np.testing.assert_array_equal(after.motion.boxes, expected)
        dx, dy = before.motion.shifts.T
        np.testing.assert_array_equal(after.motion.shifts, np.stack([dy, -dx], axis=1))
        checked += len(expected)
    assert checked > 100


def test_motion_vectors_only_when_asked_for(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", b_frames=2)
    assert all(frame.motion is None for frame in open_source(path))
    height, width = 48, 64
    motions = [frame.motion for frame in open_source(path, motion=True)]
    assert motions[0] is None  # a key frame has none
    vectors = [motion for motion in motions if motion is not None and len(motion.boxes)]
    assert len(vectors) > 10
    for motion in vectors:
        x1, y1, x2, y2 = motion.boxes.T
        assert (x1 >= 0).all()
        assert (x1 < x2).all()
        assert (x2 <= width).all()
        assert (y1 >= 0).all()
        assert (y1 < y2).all()
        assert (y2 <= height).all()
        assert motion.shifts.shape == (len(motion.boxes), 2)


def test_motion_says_where_the_picture_went(tmp_path: Path) -> None:
    """The pattern moves left by 2 and up by 1 pixel a frame, as its formula says."""
    path = write_video(tmp_path / "a.mp4", size=(128, 256), options={"subq": "7"})
    shifts = [
        frame.motion.shifts[frame.motion.boxes[:, 3] <= 56]
        for frame in open_source(path, motion=True)
        if frame.motion is not None
    ]
    median = np.median(np.concatenate(shifts), axis=0)
    np.testing.assert_allclose(median, (-2, -1), atol=0.3)


def test_motion_does_not_depend_on_threads(media: Path) -> None:
    def vectors(threads: int) -> list[int]:
        source = open_source(media / "asl-learn.mkv", motion=True, threads=threads, max_frames=30)
        return [0 if frame.motion is None else len(frame.motion.boxes) for frame in source]

    assert vectors(1) == vectors(2) == vectors(4)
