"""Tells the pictures up to a place by their packets, so that they need not be decoded again."""

from __future__ import annotations

import sys
from typing import NamedTuple

from streamdyn.sources.container import Input
from streamdyn.sources.damage import REORDERED
from streamdyn.sources.report import SourceReport
from streamdyn.sources.resume import Resume
from streamdyn.sources.track import Track, open_track

_EPSILON_SECONDS = 1e-6


class Passed(NamedTuple):
    """The pictures from `start` on up to a place, which is the last of them."""

    times: list[float]  # in seconds, increasing
    skip_seconds: float  # from the beginning of the stream to the place
    position: int  # of the last one's packet, in bytes

    def leads_to(self, seconds: float, track: Track, report: SourceReport) -> bool:
        """Whether a decoder that first gave the picture of this time is where it should be.

        What was damaged on its way might look otherwise if it came from further away; and where
        recordings are joined, a time may be found a second time.
        """
        near = track.position is not None and track.position <= self.position
        return near and seconds == self.times[-1] and not (report.corrupt or report.damage)


def list_passed(source: Input, start: float, place: Resume) -> Passed | None:
    """List the pictures up to `place`; None if the packets do not tell them.

    They tell if each shows one picture at a time of its own, none was lost, and time never begins
    anew: there are then as many as the index of the place says.

    Raises:
        SourceError: the file cannot be opened.
    """
    with open_track(source) as track:
        if track.start_stamp is None or track.only_decode_times:
            return None
        positions = _positions_until(track, place.pts_seconds + _EPSILON_SECONDS)
        beginning = track.start_seconds + start - _EPSILON_SECONDS
        stamps = [stamp for stamp in sorted(positions) if track.seconds(stamp) >= beginning]
        times = [track.seconds(stamp) for stamp in stamps]
        if len(times) != place.index + 1 or abs(times[-1] - place.pts_seconds) > _EPSILON_SECONDS:
            return None
        return Passed(times, times[-1] - track.start_seconds, positions[stamps[-1]])


def _positions_until(track: Track, end_seconds: float) -> dict[int, int]:
    """The positions of the packets until a time, by their stamps; none if one is strange."""
    positions: dict[int, int] = {}
    strange, decoded, later = False, -sys.maxsize, 0

    def failed() -> None:
        nonlocal strange
        strange = True

    for packet in track.packets(failed):
        if packet.is_discard:
            continue
        if strange or packet.pts is None or packet.pos is None or packet.pts in positions:
            return {}
        if packet.dts is not None:
            if packet.dts < decoded:
                return {}
            decoded = packet.dts
        if track.seconds(packet.pts) <= end_seconds:
            positions[packet.pts] = packet.pos
            continue
        later += 1
        if later > REORDERED or (packet.dts is not None and track.seconds(decoded) > end_seconds):
            break
    return positions
