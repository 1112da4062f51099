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
from streamdyn.sources.key_frames import KeyFrameDecoder, Shown
from streamdyn.sources.opening import require_path
from streamdyn.sources.passed import Passed, list_passed
from streamdyn.sources.pixels import UPRIGHT, DecodedPixels, orientation_of
from streamdyn.sources.report import SourceInfo, SourceReport
from streamdyn.sources.selection import Picture, skip_to
from streamdyn.sources.single import SingleSource
from streamdyn.sources.track import Track, open_track
from streamdyn.sources.undecoded import UNDECODED


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
        passed = self._list_passed()
        if passed and (yield from self._after(passed, report)):
            return
        if self._options.key_frames:
            yield from self._key_pictures(report)
        else:
            yield from self._shown(report, self.selection.start, key_frames=False)

    def _list_passed(self) -> Passed | None:
        place = self._passed
        return None if place is None else list_passed(self._input, self.selection.start, place)

    def _after(self, passed: Passed, report: SourceReport) -> Generator[Picture, None, bool]:
        """The pictures that were dealt with, without pixels, and those after them.

        False, and none, if something is wrong on the way there from the key frame before.
        """
        key_frames = self._options.key_frames
        with (
            open_decoder(self._input, report, passed.skip_seconds) as decoder,
            closing(self._from(decoder, report, passed.skip_seconds, key_frames)) as pictures,
        ):
            last = next(pictures, None)
            if last is None or not passed.leads_to(last.pts_seconds, decoder.track, report):
                report.corrupt = 0
                report.damage.clear()
                return False
            for seconds in passed.times:
                yield Picture(seconds, UNDECODED, last.size, key_frame=False)
            yield from pictures
        return True

    def _key_pictures(self, report: SourceReport) -> Generator[Picture]:
        """The pictures, of which only the key frames have pixels, and the first."""
        first, start = None, self.selection.start
        if start and not self.live:  # it may begin between key frames
            with closing(self._shown(SourceReport(), start, key_frames=False)) as pictures:
                first = next(pictures, None)
        with closing(self._shown(report, start, key_frames=True)) as pictures:
            if first:
                yield first
                yield from (p for p in pictures if p.pts_seconds > first.pts_seconds)
            else:
                yield from dropwhile(lambda picture: not picture.key_frame, pictures)

    def _shown(self, report: SourceReport, start: float, *, key_frames: bool) -> Generator[Picture]:
        """The pictures from `start` seconds after the beginning on."""
        source = replace(self._input, delay=not self.live)
        with open_decoder(source, report, 0.0 if self.live else start) as decoder:
            yield from self._from(decoder, report, start, key_frames)

    def _from(
        self, decoder: Decoder, report: SourceReport, start: float, key_frames: bool
    ) -> Generator[Picture]:
        track = decoder.track
        # A camera's clock may have run for long when its first frame comes.
        known = track.start_stamp is not None and not self.live
        beginning = track.start_seconds if known else None
        if key_frames and track.shows_each_packet and not track.only_decode_times:
            shown = KeyFrameDecoder(track, report).pictures()
        else:
            shown = ((track.stamp(frame), frame) for frame in decoder.frames())
        return skip_to(start, _timed(track, shown), beginning)


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
