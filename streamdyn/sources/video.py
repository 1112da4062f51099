"""Videos that FFmpeg decodes, by way of PyAV: files here, network streams in `network`."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from itertools import dropwhile
from pathlib import Path

from streamdyn.errors import SourceError
from streamdyn.sources.base import Nature, Options
from streamdyn.sources.clock import Clock
from streamdyn.sources.container import Input
from streamdyn.sources.decoder import Decoder, open_decoder
from streamdyn.sources.key_frames import UNDECODED, KeyFrameDecoder, Shown
from streamdyn.sources.opening import require_path
from streamdyn.sources.pixels import UPRIGHT, DecodedPixels, orientation_of
from streamdyn.sources.report import SourceInfo, SourceReport
from streamdyn.sources.selection import Picture, skip_to
from streamdyn.sources.single import SingleSource
from streamdyn.sources.track import Track, open_track


def open_spec(spec: str, options: Options) -> VideoSource:
    """A video file."""
    path = require_path(Path(spec))
    return VideoSource(Input.of_file(path, options.threads, options.motion), path.stem, options)


class VideoSource(SingleSource):
    """The video track of something that FFmpeg can open."""

    def __init__(self, source: Input, default_name: str, options: Options) -> None:
        super().__init__(source.label, default_name, options)
        if options.fps is not None:
            raise SourceError(f"fps is for image sequences; {self.url} has times of its own")
        self._input = source

    @cached_property
    def nature(self) -> Nature:
        return Nature(False, "a file")

    def info(self) -> SourceInfo:
        with open_track(self._input) as track:
            frame = next(Decoder(track, SourceReport()).frames(), None)
            if frame is None:
                raise self._no_frame()
            stream = track.stream
            rate = stream.average_rate or stream.guessed_rate
            return SourceInfo(
                name=self.name,
                url=self.url,
                kind=track.container.format.name,
                live=self.live,
                live_reason=self.live_reason,
                size=orientation_of(frame).size(frame.height, frame.width),
                codec=stream.codec_context.name,
                pixel_format=frame.format.name,
                claimed_fps=float(rate) if rate else None,
                claimed_seconds=track.claimed_seconds,
                claimed_frames=stream.frames or None,
            )

    def _pictures(self, report: SourceReport) -> Generator[Picture]:
        if self._options.key_frames:
            yield from self._key_pictures(report)
        else:
            yield from self._shown(report, key_frames=False)

    def _key_pictures(self, report: SourceReport) -> Generator[Picture]:
        """The pictures, of which only the key frames have pixels, and the first."""
        first = None
        if self._options.selection.start and not self.live:  # it may begin between key frames
            with closing(self._shown(SourceReport(), key_frames=False)) as pictures:
                first = next(pictures, None)
        with closing(self._shown(report, key_frames=True)) as pictures:
            if first:
                yield first
                yield from (p for p in pictures if p.pts_seconds > first.pts_seconds)
            else:
                yield from dropwhile(lambda picture: not picture.key_frame, pictures)

    def _shown(self, report: SourceReport, *, key_frames: bool) -> Generator[Picture]:
        start, live = self._options.selection.start, self.live
        source = replace(self._input, delay=not live)
        with open_decoder(source, report, 0.0 if live else start) as decoder:
            track = decoder.track
            # A camera's clock may have run for long when its first frame comes.
            known = track.start_stamp is not None and not live
            beginning = track.start_seconds if known else None
            if key_frames and track.shows_each_packet and not track.only_decode_times:
                shown = KeyFrameDecoder(track, report).pictures()
            else:
                shown = ((track.stamp(frame), frame) for frame in decoder.frames())
            yield from skip_to(start, _timed(track, shown), beginning)


def _timed(track: Track, pictures: Iterable[Shown]) -> Generator[Picture]:
    clock = Clock(track.time_base, track.start_seconds, track.step_seconds)
    orientation, size = UPRIGHT, (0, 0)
    begun = False
    for stamp, frame in pictures:
        seconds = clock.seconds(stamp)
        if frame is None:
            yield Picture(seconds, UNDECODED, size, key_frame=False)
            continue
        if not begun or frame.key_frame:  # looking it up costs as much as all the rest
            orientation, begun = orientation_of(frame), True
        size = orientation.size(frame.height, frame.width)
        yield Picture(seconds, DecodedPixels(frame, orientation), size, frame.key_frame)
