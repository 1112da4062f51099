"""Lists the pictures of a video file without decoding them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import SourceError
from streamdyn.sources.clock import Clock
from streamdyn.sources.container import Input
from streamdyn.sources.track import open_track


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
    is_key: dict[int, bool] = {}
    latest_key, overlapping = None, False
    with open_track(source) as track:
        for packet in track.packets(failed=lambda: None):
            stamp = track.stamp(packet)
            if stamp is None or packet.is_discard:
                continue
            is_key[stamp] = packet.is_keyframe
            latest_key = stamp if packet.is_keyframe else latest_key
            overlapping |= latest_key is not None and stamp < latest_key
    if not is_key or track.only_decode_times:
        raise SourceError(f"{source.label} has no times to find frames by; convert it to MP4")
    clock = Clock(track.time_base, 0.0, track.step_seconds)
    stamps = sorted(is_key)
    return PictureIndex(
        stamps=np.array(stamps, np.int64),
        times=np.array([clock.seconds(stamp) for stamp in stamps]),
        keys=np.flatnonzero([is_key[stamp] for stamp in stamps]),
        overlapping=overlapping,
        start_seconds=track.start_seconds,
    )
