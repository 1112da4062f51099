"""What a run shows while it runs."""

from dataclasses import replace

import pytest
from rich.console import Console

from streamdyn import open_source
from streamdyn.cli.console import ProgressLines, expected_seconds
from streamdyn.sources import SourceInfo
from streamdyn.sources.selection import Selection
from tests.cli_kit import CLIP, run


def test_no_line_is_empty_where_no_terminal_shows_progress(tmp_path, capsys):
    assert run("run", CLIP, "--out", tmp_path / "out") == 0
    model, source, *_ = capsys.readouterr().out.splitlines()
    assert model.startswith("model street")
    assert source.startswith("street: synthetic:street")


INFO = SourceInfo(
    name="cam",
    url="cam.mp4",
    kind="mp4",
    live=False,
    live_reason="a file",
    size=(64, 96),
    claimed_fps=25.0,
    claimed_seconds=10.0,
)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, 10.0),
        ({"start": 4.0}, 6.0),
        ({"start": 14.0}, 0.0),
        ({"start": 4.0, "duration": 2.0}, 2.0),
        ({"start": 4.0, "duration": 20.0}, 6.0),
        ({"max_frames": 50}, 2.0),
        ({"max_frames": 50, "stride": 3}, 6.0),
        ({"max_frames": 50, "max_fps": 10.0}, 5.0),
        ({"max_frames": 500}, 10.0),
    ],
)
def test_the_time_left_is_that_of_the_chosen_part(options, seconds):
    assert expected_seconds(INFO, Selection(**options)) == pytest.approx(seconds)


def test_a_header_that_does_not_tell_gives_no_time_left():
    assert expected_seconds(replace(INFO, claimed_seconds=None), Selection()) is None
    assert expected_seconds(replace(INFO, claimed_fps=None), Selection(max_frames=5)) is None


def test_a_live_source_is_described_without_opening_it():
    class OneClient:
        """A camera that refuses a second connection."""

        name, url, live, live_reason = "door", "rtsp://door", True, "rtsp:// is live"

        def info(self):
            raise AssertionError("it was opened to describe it")

    console = Console(width=200, force_terminal=False)
    with console.capture() as capture, ProgressLines(console) as lines:
        lines.start(OneClient())
        lines.start(open_source("synthetic:square?frames=5", name="file"))
    shown = capture.get()
    assert "door: rtsp://door, live (rtsp:// is live)" in shown
    assert "file: synthetic:square" in shown
    assert "px" in shown
