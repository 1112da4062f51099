"""HLS playlists: of a camera, and of whatever an attacker would like to have read."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.cameras.play import playing


@contextmanager
def hls_camera(clip: Path, folder: Path, *, segment_seconds: float = 0.5) -> Generator[Path]:
    """Write a live playlist of the newest few segments: yields it once it has the first.

    A segment begins with a key frame; the clip needs them often enough.
    """
    playlist = folder / "live.m3u8"
    options = {
        "hls_time": f"{segment_seconds}",
        "hls_list_size": "4",
        "hls_flags": "delete_segments+omit_endlist",
    }
    with playing(clip, str(playlist), "hls", options):
        while not playlist.exists():
            time.sleep(0.02)
        yield playlist


def write_playlist(path: Path, *segments: str, ends: bool = True) -> Path:
    """Write a playlist of segments of a second each, given by any URL, like "concat:a.ts|b.ts"."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    for segment in segments:
        lines += ["#EXTINF:1.0,", segment]
    lines += ["#EXT-X-ENDLIST"] * ends
    path.write_text("\n".join(lines) + "\n")
    return path
