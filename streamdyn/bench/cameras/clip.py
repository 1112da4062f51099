"""A clip like a camera's: so many frames a second, no B-frames, key frames at fixed intervals."""

from __future__ import annotations

import os
from collections.abc import Generator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.filter import Graph


def camera_clip(
    source: Path,
    folder: Path,
    *,
    fps: int = 10,
    size: tuple[int, int] | None = None,
    kilobits_per_second: int | None = None,
    key_frame_seconds: float = 1.0,
    seconds: float | None = None,
) -> Path:
    """Encode a video as H.264 in `folder`, unless it is there already, and return its path.

    Args:
        size: (height, width), both even; None keeps that of the source.
        kilobits_per_second: None keeps the quality the same, whatever it takes.
        seconds: how much of the source to take; None takes all.
    """
    height, width = size or _size(source)
    kind = f"{height}x{width}-{fps}fps-{kilobits_per_second or 'any'}kbps"
    target = folder / f"{source.stem}-{kind}-key{key_frame_seconds:g}s-{seconds or 'all'}s.mp4"
    if target.exists():
        return target
    half_done = target.with_name(f"{os.getpid()}-{target.name}")  # another process may make it too
    rate = kilobits_per_second
    quality = {"b": f"{rate}k", "maxrate": f"{rate}k", "bufsize": f"{rate}k"} if rate else {}
    with av.open(half_done, "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.gop_size = max(round(key_frame_seconds * fps), 1)
        stream.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "x264-params": "sliced-threads=0",  # one slice per frame, as cameras send
            "sc_threshold": "0",  # no key frames but those at the interval
            **quality,
        }
        for frame in _frames(source, fps, (height, width), seconds):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return half_done.rename(target)


def _size(source: Path) -> tuple[int, int]:
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        return stream.height, stream.width


def _frames(
    source: Path, fps: int, size: tuple[int, int], seconds: float | None
) -> Generator[av.VideoFrame]:
    """The frames of a video at an even pace, scaled, timed in frames."""
    height, width = size
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        graph = Graph()
        graph.link_nodes(
            graph.add_buffer(template=stream),
            graph.add("fps", str(fps)),
            graph.add("scale", f"{width}:{height}"),
            graph.add("buffersink"),
        ).configure()
        count = 0
        for decoded in chain(container.decode(stream), [None]):  # None: there are no more
            graph.vpush(decoded)
            while True:
                try:
                    frame = graph.vpull()
                except (BlockingIOError, EOFError):
                    break
                if seconds is not None and count >= seconds * fps:
                    return
                frame.pts, frame.time_base = count, Fraction(1, fps)
                frame.pict_type = av.video.frame.PictureType.NONE
                yield frame
                count += 1
