"""Synthetic scenes as video files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from streamdyn.sources.synthetic import SceneMaker


def encode(scenes: SceneMaker, path: Path, *, crf: int = 26, preset: str = "medium") -> None:
    """Write all frames of `scenes` as H.264: the same bytes wherever x264 is the same.

    Args:
        crf: x264's constant rate factor, 0 to 51; lower ones look better and make larger files.
        preset: of x264, "ultrafast" to "veryslow"; slower ones make smaller files.

    Raises:
        ValueError: the height or width is odd, as 4:2:0 does not allow.
    """
    height, width = scenes.size
    if height % 2 or width % 2:
        raise ValueError(f"H.264 takes an even height and width, got {height}x{width}")
    with av.open(path, "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(scenes.fps).limit_denominator())
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.options = {"crf": str(crf), "preset": preset}
        stream.thread_count = 1  # x264 writes other bytes for each number of threads
        for index in range(len(scenes)):
            image = scenes.render(index).image
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
