"""Decodes a video track, past whatever damage can be passed."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamdyn.errors import SourceError
from streamdyn.sources.container import Input
from streamdyn.sources.damage import DamageWatch
from streamdyn.sources.report import SourceReport

_MAX_READ_ERRORS = 100  # in a row, after which a file is given up
_DEFAULT_STEP_SECONDS = 0.04
_PROGRESSIVE = (0, 1)  # AVFieldOrder: unknown, progressive


@contextmanager
def open_decoder(
    source: Input, report: SourceReport, skip_seconds: float = 0.0
) -> Generator[Decoder]:
    """A decoder that begins at or before `skip_seconds` after the beginning of the stream."""
    if skip_seconds:
        with source.open() as opened:
            decoder = Decoder(source, *opened, report)
            if decoder.seek(skip_seconds):
                yield decoder
                return
    with source.open() as opened:
        yield Decoder(source, *opened, report)


class Decoder:
    """The pictures of an open container, in order of presentation.

    A damaged packet costs its own pictures only; what is lost goes into the report.
    """

    def __init__(
        self, source: Input, container: InputContainer, stream: VideoStream, report: SourceReport
    ) -> None:
        assert stream.time_base is not None, "an open stream has a time base"
        self.time_base = stream.time_base
        rate = stream.guessed_rate or stream.average_rate
        self.step_seconds = 1 / float(rate) if rate else _DEFAULT_STEP_SECONDS
        self.start_seconds = (  # of the first picture, if the container knows it
            None if stream.start_time is None else float(stream.start_time * self.time_base)
        )
        # AVI has no presentation times, and those that FFmpeg makes up are wrong with B-frames.
        self.only_decode_times = (
            container.format.name == "avi" and stream.codec_context.has_b_frames
        )
        self._source = source
        self._container = container
        self._stream = stream
        self._report = report
        self._step = round(self.step_seconds / self.time_base)
        # Other codecs have packets that show nothing, and so has interlaced video.
        strict = stream.codec_context.name in ("h264", "hevc") and (
            stream.codec_context.field_order in _PROGRESSIVE
        )
        self._watch = DamageWatch(report, self.time_base, self.step_seconds, strict)
        self._trusted: int | None = None  # after a seek, the stamp of the first whole picture
        self._last: int | None = None  # the latest stamp that was handed out

    def frames(self) -> Generator[VideoFrame]:
        """Yield the pictures from where the container stands to its end.

        Raises:
            SourceError: the connection was lost.
        """
        end_stamp = None
        for packet in self.packets():
            for frame in self._decode(packet):
                stamp = self.stamp(frame)
                if stamp is not None:
                    self._watch.came(stamp)
                    end_stamp = stamp + (frame.duration or self._step)
                if self._is_fit(frame, stamp):
                    yield frame
        self._watch.ended()
        if end_stamp is not None:
            self._compare_with_claim(end_stamp)

    def stamp(self, coded: VideoFrame | Packet[VideoStream]) -> int | None:
        """The presentation time in units of the time base, as good as the container knows it."""
        if self.only_decode_times or coded.pts is None:
            return coded.dts
        return coded.pts

    def seek(self, skip_seconds: float) -> bool:
        """Go to a key frame from which the picture so long after the beginning can be decoded.

        False if that needs decoding from the beginning, or the container cannot seek: it then
        has to be opened anew.
        """
        start = self._stream.start_time
        if start is None:
            return False
        # Rounded: a time may be a little less than the stamp that it was made of.
        target = point = start + round(skip_seconds / self.time_base)
        step_back = math.ceil(1 / self.time_base)
        while point > start:
            key = self._key_after(point, target)
            if key is not None and key <= target:
                self._container.seek(point, stream=self._stream)
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
            self._container.seek(point, stream=self._stream)
        except av.FFmpegError:
            return None
        probe = Decoder(self._source, self._container, self._stream, SourceReport())
        with closing(probe.frames()) as frames:
            for frame in frames:
                stamp = self.stamp(frame)
                if stamp is None or frame.key_frame or stamp > target:
                    return stamp if frame.key_frame else None
        return None

    def packets(self) -> Iterator[Packet[VideoStream] | None]:
        """Yield the packets of the track, and in the end None, which empties the decoder."""
        errors = 0
        while errors < _MAX_READ_ERRORS:
            try:
                for packet in self._container.demux(self._stream):
                    errors = 0
                    if packet.size:  # an empty one, such as PyAV's mark of the end, would drain
                        yield packet
                break
            except av.FFmpegError as error:
                self._stop_if_lost(error)
                self._watch.failed(None, "cannot be read")
                errors += 1
            except IndexError:  # PyAV's own, where damage made a track appear in the middle
                break
        yield None

    def _stop_if_lost(self, error: av.FFmpegError) -> None:
        """A file is read on behind a bad spot; a connection does not come back by itself."""
        if self._source.path is None and not isinstance(error, av.error.InvalidDataError):
            why = self._source.explain(error)
            raise SourceError(f"{self._source.label} was lost: {why}") from None

    def _is_fit(self, frame: VideoFrame, stamp: int | None) -> bool:
        """Whether to hand out a picture: a damaged one if it is in its place, but not before the
        first whole one, nor if it may refer to pictures that a seek left out.
        """
        if stamp is not None and self._trusted is not None and stamp < self._trusted:
            return False
        in_place = stamp is None or self._last is None or stamp > self._last
        if frame.is_corrupt:
            self._report.corrupt += 1
            self._watch.failed(stamp, "cannot be decoded")
            if not in_place or (self._last is None and not frame.key_frame):
                return False
        self._last = stamp if in_place else self._last
        return True

    def _decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        stamp = None if packet is None else self.stamp(packet)
        if packet is not None and stamp is not None and not packet.is_discard:
            self._watch.sent(stamp)
        try:
            return self._stream.decode(packet)
        except av.FFmpegError:
            self._watch.failed(stamp, "cannot be decoded")
            return []

    @property
    def claimed_seconds(self) -> float | None:
        """How long the video is, as the header says; None if it says nothing of the video."""
        if self._stream.duration is not None:
            return float(self._stream.duration * self.time_base)
        if self._container.duration is not None and len(self._container.streams) == 1:
            return self._container.duration / av.time_base
        return None

    def _compare_with_claim(self, end_stamp: int) -> None:
        if (claimed := self.claimed_seconds) is None:
            return
        if self._stream.duration is not None:  # a container's duration may count from zero
            claimed += self.start_seconds or 0.0
        end = float(end_stamp * self.time_base)
        if self._report.damage:
            end = max(end, self._report.damage[-1].end_seconds)
        if claimed - end > 0.75 * self.step_seconds:
            self._report.add_damage(end, claimed, "is missing: the file ends early")
