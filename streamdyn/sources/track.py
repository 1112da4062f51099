"""The video track of an open container: its packets, its times, and what its header claims."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamdyn.sources.container import Input

_MAX_READ_ERRORS = 100  # in a row, after which a file is given up
_DEFAULT_STEP_SECONDS = 0.04
_PROGRESSIVE = (0, 1)  # AVFieldOrder: unknown, progressive


@contextmanager
def open_track(source: Input) -> Generator[Track]:
    """Open the video track of a file or URL; it closes in the end.

    Raises:
        SourceError: it cannot be opened, or has no video that can be decoded.
    """
    with source.open() as (container, stream):
        yield Track(source, container, stream)


class Track:
    """A video track. Times in units of its time base are called stamps."""

    def __init__(self, source: Input, container: InputContainer, stream: VideoStream) -> None:
        assert stream.time_base is not None, "an open stream has a time base"
        self.source = source
        self.container = container
        self.stream = stream
        self.time_base = stream.time_base
        rate = stream.guessed_rate or stream.average_rate
        self.step_seconds = 1 / float(rate) if rate else _DEFAULT_STEP_SECONDS
        self.start_stamp: int | None = stream.start_time  # None: the container does not know
        self.position: int | None = None  # of the packet that was read first, in bytes
        context = stream.codec_context
        # AVI has no presentation times, and those that FFmpeg makes up are wrong with B-frames.
        self.only_decode_times = container.format.name == "avi" and bool(context.has_b_frames)
        # Other codecs have packets that show nothing, and so has interlaced video.
        self.shows_each_packet = context.name in ("h264", "hevc") and (
            context.field_order in _PROGRESSIVE
        )

    @property
    def start_seconds(self) -> float:
        """The time of the first picture, as the container says; 0 if it does not."""
        return 0.0 if self.start_stamp is None else self.seconds(self.start_stamp)

    @property
    def claimed_seconds(self) -> float | None:
        """How long the video is, as the header says; None if it says nothing of the video."""
        if self.stream.duration is not None:
            return self.seconds(self.stream.duration)
        if self.container.duration is not None and len(self.container.streams) == 1:
            return self.container.duration / av.time_base
        return None

    @property
    def claimed_end_seconds(self) -> float | None:
        """When the video ends, as the header says."""
        if self.stream.duration is not None:
            return self.start_seconds + self.seconds(self.stream.duration)
        return self.claimed_seconds  # a container's duration may count from zero

    def seconds(self, stamp: int) -> float:
        """A stamp in seconds."""
        return stamp * self.time_base.numerator / self.time_base.denominator

    def stamp(self, coded: VideoFrame | Packet[VideoStream]) -> int | None:
        """The presentation time of a frame or packet, as good as the container knows it."""
        if self.only_decode_times or coded.pts is None:
            return coded.dts
        return coded.pts

    def packets(self, failed: Callable[[], None]) -> Iterator[Packet[VideoStream]]:
        """Yield the packets from where the container stands, calling `failed` at bad spots.

        Raises:
            SourceError: the connection was lost.
        """
        errors = 0
        self.position = None
        while errors < _MAX_READ_ERRORS:
            try:
                for packet in self.container.demux(self.stream):
                    errors = 0
                    if packet.size:  # an empty one, such as PyAV's mark of the end, would drain
                        self.position = packet.pos if self.position is None else self.position
                        yield packet
                return
            except av.FFmpegError as error:
                self._stop_if_lost(error)
                failed()
                errors += 1
            except IndexError:  # PyAV's own, where damage made a track appear in the middle
                return

    def _stop_if_lost(self, error: av.FFmpegError) -> None:
        """A file is read on behind a bad spot; a connection does not come back by itself."""
        if self.source.path is None and not isinstance(error, av.error.InvalidDataError):
            raise self.source.was_lost(error) from None
