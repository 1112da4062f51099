"""Decodes a video track, past whatever damage can be passed."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamdyn.sources.container import Input
from streamdyn.sources.damage import DAMAGED, DamageWatch
from streamdyn.sources.report import SourceReport
from streamdyn.sources.track import Track, open_track


@contextmanager
def open_decoder(
    source: Input, report: SourceReport, skip_seconds: float = 0.0
) -> Generator[Decoder]:
    """A decoder that begins at or before `skip_seconds` after the beginning of the stream.

    Raises:
        SourceError: the source cannot be opened, or has no video that can be decoded.
    """
    if skip_seconds:
        with open_track(source) as track:
            decoder = Decoder(track, report)
            if decoder.seek(skip_seconds):
                yield decoder
                return
    with open_track(source) as track:
        yield Decoder(track, report)


class Decoder:
    """The pictures of a video track, in the order of presentation.

    A damaged packet costs its own pictures only; what is lost goes into the report.
    """

    def __init__(self, track: Track, report: SourceReport) -> None:
        self.track = track
        self._report = report
        self._watch = DamageWatch(
            report, track.time_base, track.step_seconds, strict=track.shows_each_packet
        )
        self._trusted: int | None = None  # after a seek, the stamp of the first whole picture
        self._last: int | None = None  # the latest stamp that was handed out
        self._end_seconds = -math.inf  # when the latest picture is over

    def frames(self) -> Generator[VideoFrame]:
        """Yield the pictures from where the track stands to its end.

        Raises:
            SourceError: the connection was lost.
        """
        for packet in self.track.packets(self._note_bad_spot):
            yield from filter(self._accept, self._decode(packet))
        yield from filter(self._accept, self._decode(None))
        if self._watch.is_waiting and self._last is not None:
            yield from filter(self._accept, self._decode_end_again(self._last))
        self._watch.ended()
        self._compare_with_claim()

    def seek(self, skip_seconds: float) -> bool:
        """Go to a key frame from which the picture so long after the beginning can be decoded.

        False if that needs decoding from the beginning, or the container cannot seek: it then
        has to be opened anew.
        """
        start, time_base = self.track.start_stamp, self.track.time_base
        if start is None:
            return False
        # Rounded: a time may be a little less than the stamp that it was made of.
        target = point = start + round(skip_seconds / time_base)
        step_back = math.ceil(1 / time_base)
        while point > start:
            key = self._key_after(point, target)
            if key is not None and key <= target:
                self.track.container.seek(point, stream=self.track.stream)
                self._trusted = key
                return True
            point, step_back = point - step_back, step_back * 2
        return False

    def _key_after(self, point: int, target: int) -> int | None:
        """Seek, and return the stamp of the first key frame that comes out.

        Some containers seek to a place after the point. Pictures that come before the key frame
        may refer to others which were not decoded.
        """
        try:
            self.track.container.seek(point, stream=self.track.stream)
        except av.FFmpegError:
            return None
        with closing(Decoder(self.track, SourceReport()).frames()) as frames:
            for frame in frames:
                stamp = self.track.stamp(frame)
                if stamp is None or frame.key_frame or stamp > target:
                    return stamp if frame.key_frame else None
        return None

    def _decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """The pictures that come out when a packet goes in; of None, those that are held back."""
        stamp = None if packet is None else self.track.stamp(packet)
        if packet is not None and stamp is not None and not packet.is_discard:
            self._watch.sent(stamp)
        try:
            return self.track.stream.decode(packet)
        except av.FFmpegError:
            self._watch.failed(stamp, DAMAGED)
            return []

    def _decode_end_again(self, last: int) -> Generator[VideoFrame]:
        """The pictures that were still missing after `last`, decoded one after another.

        When pictures are decoded side by side and one of the last is damaged, PyAV gives up all
        that the decoder holds.
        """
        source = self.track.source
        if source.path is None or not source.delay:
            return
        skip_seconds = self.track.seconds(last) - self.track.start_seconds
        with open_decoder(replace(source, delay=False), SourceReport(), skip_seconds) as again:
            for frame in again.frames():
                stamp = self.track.stamp(frame)
                if stamp is not None and stamp > last:
                    yield frame

    def _accept(self, frame: VideoFrame) -> bool:
        """Note a picture, and say whether to hand it out.

        A damaged one only in its place and after a whole one; none that may refer to pictures
        which a seek left out.
        """
        stamp = self.track.stamp(frame)
        if stamp is not None and self._trusted is not None and stamp < self._trusted:
            return False
        if frame.is_corrupt and self._last is None and not frame.key_frame:
            return False
        if stamp is not None:
            self._watch.came(stamp)
            length = self.track.seconds(frame.duration) or self.track.step_seconds
            self._end_seconds = max(self._end_seconds, self.track.seconds(stamp) + length)
        late = stamp is not None and self._last is not None and stamp <= self._last
        if frame.is_corrupt:
            self._report.corrupt += 1
            self._watch.failed(stamp, DAMAGED)
        if stamp is not None and not late:
            self._last = stamp
        return not (late and frame.is_corrupt)

    def _note_bad_spot(self) -> None:
        self._watch.failed(None, "cannot be read")

    def _compare_with_claim(self) -> None:
        claimed, step_seconds = self.track.claimed_end_seconds, self.track.step_seconds
        if claimed is None or self._last is None:
            return
        end = max([self._end_seconds, *(damage.end_seconds for damage in self._report.damage)])
        if claimed - end > 0.75 * step_seconds:
            self._report.add_damage(end, claimed, "is missing: the file ends early")
