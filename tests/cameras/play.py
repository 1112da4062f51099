"""Plays a clip over and over into any container, at its own pace: an endless stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

import av


def play(
    clip: Path,
    target: str | BufferedIOBase,
    container: str,
    stopping: threading.Event,
    options: dict[str, str] | None = None,
) -> None:
    """Send the packets of a clip until told to stop, each at its time, with rising timestamps.

    Args:
        container: a format of FFmpeg that can go on for ever, like "mpegts" or "hls".
    """
    with (
        av.open(target, "w", format=container, options=options) as writer,
        av.open(str(clip)) as reader,
    ):
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        start, offset = time.monotonic(), 0
        while not stopping.is_set():
            end = 0
            for packet in reader.demux(stream):
                if packet.pts is None or packet.dts is None or stopping.is_set():
                    break
                packet.pts += offset
                packet.dts += offset
                end = max(end, packet.pts + (packet.duration or 0))
                due = start + float(packet.dts * packet.time_base) - time.monotonic()
                stopping.wait(max(due, 0))
                packet.stream = copy
                writer.mux(packet)
            offset = end
            reader.seek(0)


@contextmanager
def playing(
    clip: Path, target: str, container: str, options: dict[str, str] | None = None
) -> Generator[None]:
    """Let a thread play."""
    stopping = threading.Event()
    thread = threading.Thread(target=play, args=(clip, target, container, stopping, options))
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@contextmanager
def udp_camera(clip: Path, port: int) -> Generator[None]:
    """Send a clip by UDP as MPEG-TS to a port of this machine, whether or not someone listens."""
    with playing(clip, f"udp://127.0.0.1:{port}?pkt_size=1316", "mpegts"):
        yield
