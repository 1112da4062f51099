"""Opens what FFmpeg can open, and says in plain words why it cannot."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import av
from av.codec.context import Flags, Flags2
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from streamdyn.errors import Cause, SourceError, redact
from streamdyn.sources.explain import NO_INDEX, Reason, explain_address, explain_file
from streamdyn.sources.mp4 import lacks_index


@dataclass(frozen=True, slots=True)
class Input:
    """Something for FFmpeg to open: a local file or a URL.

    Attributes:
        url: as FFmpeg takes it, credentials included: never to be shown.
        path: the file, if it is one.
        options: of FFmpeg's demuxer and protocol.
        threads: of the decoder; None: two, or one on a machine with a single core.
        delay: whether the decoder may hold back some pictures to decode them side by side, which
            is faster.
        motion: whether to export motion vectors. FFmpeg gets them wrong when it decodes pictures
            side by side, so it then does not.
        timeout_seconds: how long opening, and each read, may take; None: for ever.
    """

    url: str
    path: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    threads: int | None = None
    delay: bool = True
    motion: bool = False
    timeout_seconds: float | None = None

    @classmethod
    def of_file(cls, path: Path, threads: int | None = None, motion: bool = False) -> Input:
        """A local file. Its name is taken literally, whatever it contains."""
        return cls(f"file:{path}", path, threads=threads, motion=motion)

    @property
    def label(self) -> str:
        """The file or URL, for people."""
        return str(self.path) if self.path else redact(self.url)

    @contextmanager
    def open(self) -> Generator[tuple[InputContainer, VideoStream]]:
        """Open the container and its video track, ready to decode; both close at the end.

        Raises:
            SourceError: it cannot be opened, or has no video that can be decoded.
        """
        start = monotonic()
        try:
            container = av.open(
                self.url,
                options=dict(self.options),
                metadata_errors="replace",
                timeout=self.timeout_seconds,
            )
        except av.FFmpegError as error:
            # FFmpeg has other words for it where it had sent a request of RTSP.
            late = self.timeout_seconds is not None and monotonic() - start >= self.timeout_seconds
            raise self.cannot_open(av.error.ExitError(0, "") if late else error) from None
        with container:
            yield container, self._video_stream(container)

    def cannot_open(self, error: av.FFmpegError) -> SourceError:
        """What to raise where opening failed."""
        why, cause = self._explain(error)
        return SourceError(f"cannot open {self.label}: {why}", cause)

    def was_lost(self, error: av.FFmpegError) -> SourceError:
        """What to raise where reading failed, after it was opened."""
        why, cause = self._explain(error)
        cause = "stalled" if cause == "timeout" else cause or "lost"
        return SourceError(f"{self.label} was lost: {why}", cause)

    def _explain(self, error: av.FFmpegError) -> Reason:
        if self.path is not None:
            return explain_file(error, self.path)
        return explain_address(error, self.url, self.options, self.timeout_seconds)

    def _video_stream(self, container: InputContainer) -> VideoStream:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or Disposition.attached_pic in stream.disposition:
            known = {track.type for track in container.streams} & {"audio", "subtitle"}
            what = f"only {' and '.join(sorted(known))}" if known else "it may be cut off"
            raise self._no_video(f"it has no video track, {what}; give a file with video")
        if stream.codec_context is None:
            raise self._no_video(
                "FFmpeg does not know the codec of its video; convert it, for example to H.264",
                "codec",
            )
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        context = stream.codec_context
        context.thread_type = "AUTO" if self.delay and not self.motion else "SLICE"
        context.thread_count = self.threads or min(2, os.cpu_count() or 1)
        # Damaged pictures come with a flag, instead of none until the next key frame.
        context.flags |= Flags.output_corrupt
        if self.motion:
            context.flags2 |= Flags2.export_mvs
        return stream

    def _no_video(self, why: str, cause: Cause | None = None) -> SourceError:
        """What is wrong with an input whose tracks are not as they must be."""
        if self.path and lacks_index(self.path):
            why, cause = NO_INDEX, None
        return SourceError(f"cannot open {self.label}: {why}", cause)
