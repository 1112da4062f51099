"""Sinks of any kind: they are opened by name, whole when they close, and fail in plain words."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamdyn import Frame, SinkError, load_results
from streamdyn.sinks import SINKS, Callback, open_sink
from tests.sinks_kit import FILES, ROOT, boxes, command, feed, prediction_of


def write_beyond_the_limit(kind: str, folder: str) -> None:
    """Run in a process of its own, for the limit cannot be lifted again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    try:
        with open_sink(kind, folder) as sink:
            for n in range(1200):
                shown = Frame.from_image(np.roll(noise, n), index=n, pts_seconds=n / 25)
                sink(prediction_of(shown, boxes(n % 50)), shown)
    except SinkError as error:
        print(error)


class TestOpenSink:
    @pytest.mark.parametrize("kind", SINKS)
    def test_writes_its_file_in_a_new_folder(self, kind: str, tmp_path: Path) -> None:
        folder = tmp_path / "out" / "cam"
        with open_sink(kind, folder) as sink:
            feed(sink)
        assert [path.name for path in folder.iterdir()] == [SINKS[kind][1]]

    @pytest.mark.parametrize("kind", SINKS)
    def test_closing_again_is_harmless(self, kind: str, tmp_path: Path) -> None:
        with open_sink(kind, tmp_path) as sink:
            feed(sink)
            sink.close()
            written = (tmp_path / SINKS[kind][1]).read_bytes()
        assert (tmp_path / SINKS[kind][1]).read_bytes() == written

    def test_suggests_a_name(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match="did you mean jsonl"):
            open_sink("json", tmp_path)
        with pytest.raises(SinkError, match="jsonl, csv, parquet, video"):
            open_sink("xyz", tmp_path)

    @pytest.mark.parametrize("kind", SINKS)
    def test_a_file_in_the_place_of_the_folder(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "out").touch()
        with pytest.raises(SinkError, match=r"cannot write .*out/cam: Not a dir.*; choose another"):
            open_sink(kind, tmp_path / "out" / "cam")

    @pytest.mark.parametrize("kind", SINKS)
    def test_a_folder_in_the_place_of_the_file(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / SINKS[kind][1]).mkdir()
        with pytest.raises(SinkError, match=rf"{SINKS[kind][1]}: Is a directory; choose another"):
            open_sink(kind, tmp_path)

    def test_does_not_load_av_for_a_text_file(self) -> None:
        code = (
            "import sys, tempfile; from streamdyn.sinks import open_sink\n"
            "open_sink('jsonl', tempfile.mkdtemp()).close()\n"
            "assert not {'av', 'cv2', 'pyarrow', 'torch'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestCallback:
    def test_hands_over_both(self) -> None:
        seen: list[tuple[int, int]] = []
        with Callback(
            lambda prediction, frame: seen.append((prediction.index, frame.index))
        ) as sink:
            feed(sink)
        assert seen == [(0, 0), (1, 1), (2, 2)]


class TestDiskFull:
    @pytest.mark.parametrize("kind", FILES)
    def test_device_without_room(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / SINKS[kind][1]).symlink_to("/dev/full")
        sink = open_sink(kind, tmp_path)
        feed(sink)
        with pytest.raises(SinkError, match=r"results\.\w+: No space left on device; make room"):
            sink.close()
        sink.close()

    @pytest.mark.parametrize("kind", SINKS)
    def test_no_more_room(self, kind: str, tmp_path: Path) -> None:
        run = subprocess.run(
            command(write_beyond_the_limit, kind, str(tmp_path)),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        path = tmp_path / SINKS[kind][1]
        assert run.stdout == (
            f"cannot write {path}: File too large; make room, or choose another folder\n"
        )
        assert run.stderr == ""
        if kind in ("jsonl", "csv"):
            assert 10 < len(load_results(path)) < 1200
