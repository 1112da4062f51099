"""Decodes the key frames of a video track, and counts the pictures between them by their packets.

A key frame is decoded by itself: its packet goes in, and the picture is drained at once. Other
packets are not sent to the decoder at all.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from heapq import heappop, heappush
from itertools import dropwhile

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamdyn.sources.damage import DAMAGED, REORDERED, DamageWatch
from streamdyn.sources.report import SourceReport
from streamdyn.sources.track import Track

Shown = tuple[int | None, VideoFrame | None]  # the stamp of a picture, and itself if decoded


class KeyFrameDecoder:
    """The pictures of a video track in the order of presentation, of which key frames are decoded.

    It begins with the first key frame that can be decoded. Damage between key frames does not show.
    """

    def __init__(self, track: Track, report: SourceReport) -> None:
        self._track = track
        self._report = report
        self._watch = DamageWatch(report, track.time_base, track.step_seconds, strict=True)
        self._waiting: list[int] = []  # heap of the stamps that were read and not handed out
        self._decoded: dict[int, VideoFrame] = {}  # of these
        self._read_to = -sys.maxsize  # the latest decode time; no picture to come is shown before

    def pictures(self) -> Generator[Shown]:
        """Yield each picture from where the track stands to its end.

        Raises:
            SourceError: the connection was lost.
        """
        yield from dropwhile(lambda shown: shown[1] is None, self._in_order())
        self._watch.ended()

    def _in_order(self) -> Generator[Shown]:
        for packet in self._track.packets(lambda: self._watch.failed(None, "cannot be read")):
            stamp = self._track.stamp(packet)
            if packet.is_discard:
                continue
            frame = self._decode(packet, stamp) if packet.is_keyframe else None
            if stamp is None:
                yield None, frame
                continue
            if packet.dts is not None and packet.dts < self._read_to:
                yield from self._until(sys.maxsize)  # time begins anew: recordings were joined
            heappush(self._waiting, stamp)
            if frame is not None:
                self._decoded[stamp] = frame
            yield from self._until(self._complete_to(packet, stamp))
        yield from self._until(sys.maxsize)

    def _complete_to(self, packet: Packet[VideoStream], stamp: int) -> int:
        """The stamp up to which every picture has been read, once this packet has."""
        if packet.dts is not None:
            self._read_to = packet.dts  # a picture is decoded before it is shown
            return packet.dts
        if not self._track.stream.codec_context.has_b_frames:
            return stamp
        return self._waiting[0] if len(self._waiting) > REORDERED else self._read_to

    def _until(self, stamp: int) -> Generator[Shown]:
        while self._waiting and self._waiting[0] <= stamp:
            shown = heappop(self._waiting)
            yield shown, self._decoded.pop(shown, None)

    def _decode(self, packet: Packet[VideoStream], stamp: int | None) -> VideoFrame | None:
        """The picture of a packet; None if it cannot be decoded."""
        if stamp is not None:
            self._watch.sent(stamp)
        context = self._track.stream.codec_context
        try:
            frames = [*context.decode(packet), *context.decode(None)]
        except av.FFmpegError:
            frames = []
        context.flush_buffers()  # it would take nothing more after it was drained
        if not frames:
            self._watch.failed(stamp, DAMAGED)
            return None
        if frames[0].is_corrupt:
            self._report.corrupt += 1
            self._watch.failed(stamp, DAMAGED)
        if stamp is not None:
            self._watch.came(stamp)
        return frames[0]
