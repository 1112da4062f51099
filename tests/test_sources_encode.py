"""Synthetic scenes as video files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamdyn.sources import open_source
from streamdyn.sources.synthetic.encode import encode
from streamdyn.sources.synthetic.square import Square


@pytest.fixture
def scenes() -> Square:
    return Square(height=64, width=96, fps=12.5, frames=30)


def test_a_file_shows_each_frame_at_its_time(tmp_path: Path, scenes: Square) -> None:
    encode(scenes, tmp_path / "a.mp4", crf=10)
    frames = list(open_source(tmp_path / "a.mp4"))
    assert [frame.pts_seconds for frame in frames] == pytest.approx(np.arange(30) / 12.5)
    for frame in frames:
        left, top, right, bottom = scenes.render(frame.index).box
        square = frame.luma[top:bottom, left:right]
        assert frame.size == scenes.size
        assert square.mean() > 1.5 * frame.luma[:top].mean()
        assert square.std() < 5


def test_the_same_bytes_each_time(tmp_path: Path, scenes: Square) -> None:
    encode(scenes, tmp_path / "a.mp4")
    encode(scenes, tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_quality_and_effort_are_those_asked_for(tmp_path: Path, scenes: Square) -> None:
    encode(scenes, tmp_path / "good.mp4", crf=20)
    encode(scenes, tmp_path / "poor.mp4", crf=40)
    encode(scenes, tmp_path / "quick.mp4", crf=20, preset="ultrafast")
    good, poor, quick = ((tmp_path / f"{n}.mp4").read_bytes() for n in ("good", "poor", "quick"))
    assert len(poor) < len(good) < len(quick)


def test_an_odd_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="even height and width, got 65x96"):
        encode(Square(height=65, width=96), tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()
