"""Lists the pictures of a video file without decoding them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import SourceError
from streamdyn.sources.clock import Clock
from streamdyn.sources.container import Input
from streamdyn.sources.decoder import Decoder
from streamdyn.sources.report import SourceReport


@dataclass(frozen=True, slots=True)
class PictureIndex:
    """The pictures of a video in the order of presentation."""

    stamps: NDArray[np.int64]  # (N,) in units of the time base
    times: NDArray[np.float64]  # (N,) in seconds
    keys: NDArray[np.intp]  # (K,) which of them are key frames
    overlapping: bool  # whether pictures refer to others before their key frame: open GOPs
    start_seconds: float  # the beginning of the stream, as the container says


def list_pictures(source: Input) -> PictureIndex:
    """Read the packets of a video.

    Raises:
        SourceError: the file cannot be opened, or its packets have no times.
    """
    stamps: dict[int, bool] = {}
    key, overlapping = None, False
    with source.open() as (container, stream):
        decoder = Decoder(source, container, stream, SourceReport())
        for packet in decoder.packets():
            stamp = None if packet is None else decoder.stamp(packet)
            if packet is not None and stamp is not None and not packet.is_discard:
                stamps[stamp] = packet.is_keyframe
                key = stamp if packet.is_keyframe else key
                overlapping |= key is not None and stamp < key
    if not stamps or decoder.only_decode_times:
        raise SourceError(f"{source.label} has no times to find frames by; convert it to MP4")
    clock = Clock(decoder.time_base, 0.0, decoder.step_seconds)
    order = sorted(stamps)
    return PictureIndex(
        np.array(order, np.int64),
        np.array([clock.seconds(stamp) for stamp in order]),
        np.flatnonzero([stamps[stamp] for stamp in order]),
        overlapping,
        decoder.start_seconds or 0.0,
    )
