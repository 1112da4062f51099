"""Makes videos whose frames carry their number, and breaks them in known ways."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

MILLISECONDS = Fraction(1, 1000)
_BITS = 8


def numbered_image(number: int, height: int, width: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) with `number` written as 8 bars, over a pattern that moves.

    A picture too small for bars has the number as its brightness.
    """
    if width < 2 * _BITS:
        return np.full((height, width, 3), 40 + number, np.uint8)
    y, x = np.mgrid[:height, :width]
    image = np.stack([(x + 2 * number) % 64, (y + number) % 64, (x + y) % 64], axis=2) + 20
    bits = number >> (x * _BITS // width) & 1
    return np.where((y >= height // 2)[..., None], 40 + 180 * bits[..., None], image).astype(
        np.uint8
    )


def read_number(luma: NDArray[np.uint8]) -> int:
    """The number of a picture, by its brightness (H, W)."""
    height, width = luma.shape
    if width < 2 * _BITS:
        return round(float(luma.mean())) - 40
    columns = [(2 * bit + 1) * width // (2 * _BITS) for bit in range(_BITS)]
    return sum(
        int(luma[3 * height // 4 :, column].mean() > 130) << bit
        for bit, column in enumerate(columns)
    )


def write_video(
    path: Path,
    *,
    times: Sequence[int] = range(0, 1200, 40),
    size: tuple[int, int] = (48, 64),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    gop: int = 10,
    b_frames: int = 0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int = 0,
    first: int = 0,
) -> Path:
    """Encode numbered pictures.

    Args:
        times: of each picture, in milliseconds.
        size: (height, width).
        options: of the codec.
        rotation: degrees counter-clockwise, written as metadata.
        first: number of the first picture.
    """
    height, width = size
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width, stream.pix_fmt = height, width, pixel_format
        stream.gop_size = gop
        stream.max_b_frames = b_frames
        stream.codec_context.time_base = MILLISECONDS
        if rotation:
            stream.set_display_rotation(rotation)
        for number, milliseconds in enumerate(times, first):
            image = numbered_image(number, height, width)
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = milliseconds, MILLISECONDS
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def damage_packets(source: Path, target: Path, share: float, seed: int = 0) -> list[float]:
    """Copy a video with wrong bytes in a share of its packets, at least one.

    Returns the presentation times of the damaged pictures, in seconds.
    """
    chance = random.Random(seed)
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        packets = [packet for packet in reader.demux(stream) if packet.size]
        chosen = set(chance.sample(range(1, len(packets)), max(1, round(len(packets) * share))))
        times = []
        for number, packet in enumerate(packets):
            if number in chosen:
                data = bytearray(bytes(packet))
                for place in range(5, len(data), 7):
                    data[place] = chance.randrange(256)
                packet.update(bytes(data))
                times.append(float(packet.pts * stream.time_base))
            packet.stream = copy
            writer.mux(packet)
    return sorted(times)


def truncate(source: Path, target: Path, share: float) -> Path:
    """Copy the first part of a file."""
    data = source.read_bytes()
    target.write_bytes(data[: max(int(len(data) * share), 1)])
    return target


def packet_times(path: Path) -> list[float]:
    """The presentation times of a video, read from its packets alone."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sorted(
            packet.pts * stream.time_base.numerator / stream.time_base.denominator
            for packet in container.demux(stream)
            if packet.pts is not None and not packet.is_discard
        )
