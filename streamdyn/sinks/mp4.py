"""Pictures as a video file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec import Codec
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamdyn.errors import SinkError
from streamdyn.fit import Fit
from streamdyn.sinks.base import unwritable, writing

TICKS = 90_000  # per second: presentation times are kept to within half a tick
BT709 = Colorspace.ITU709  # the primaries and the transfer curve have the same number

# H.264, the best first; not every build of PyAV has x264.
_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")


class Mp4:
    """Writes pictures as H.264 in an MP4 file.

    Each is shown at its time, so a variable frame rate stays one; only times
    before 0, which MP4 has not, are shifted. All pictures get the size of the first, rounded up to
    even; those of another shape get bars. The file is whole once closed, after an error elsewhere
    too; a process that is killed, or a disk that is full, leaves one that cannot be played.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.suffix != ".mp4":
            raise SinkError(f"video is written as .mp4, not as {self.path}")
        with writing(self.path):
            self.path.write_bytes(b"")  # the container would only try at the first picture
        self._container = av.open(
            str(self.path), "w", container_options={"movie_timescale": str(TICKS)}
        )
        self._stream: VideoStream | None = None
        self._size = (0, 0)  # (height, width) of the first picture
        self._shift = 0.0  # seconds
        self._last = -1  # ticks
        self._open = True

    def write(self, picture: NDArray[np.uint8], pts_seconds: float) -> None:
        """Add a picture (H, W, 3) in RGB, shown from then until the next."""
        with self._encoding():
            if self._stream is None:
                height, width, _ = picture.shape
                self._size = height, width
                self._shift = max(-pts_seconds, 0.0)
                self._stream = self._start(height, width)
            encoded = av.VideoFrame.from_ndarray(self._fit(picture), "rgb24").reformat(
                format="yuv420p",
                dst_colorspace=BT709,
                dst_color_range=ColorRange.MPEG,
            )
            self._last = max(round((pts_seconds + self._shift) * TICKS), self._last + 1)
            encoded.pts = self._last
            encoded.time_base = Fraction(1, TICKS)
            self._container.mux(self._stream.encode(encoded))

    def close(self) -> None:
        """Write what is left; harmless when called again."""
        if not self._open:
            return
        with self._encoding():
            if self._stream:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        self._open = False
        if not self._stream:
            self.path.unlink(missing_ok=True)  # a video without a picture is none

    def _start(self, height: int, width: int) -> VideoStream:
        encoder = _encoder()
        stream = self._container.add_stream(encoder)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        stream.time_base = context.time_base = Fraction(1, TICKS)
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = ColorRange.MPEG
        if encoder == "libx264":
            context.options = {"preset": "veryfast", "crf": "20"}
        else:
            context.bit_rate = 5 * stream.height * stream.width
        return stream

    def _fit(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture on the video's canvas: centred between bars, its odd edges repeated."""
        height, width = self._size
        fitted: cv2.typing.MatLike = picture
        if picture.shape[:2] != self._size:
            fit = Fit.make("letterbox", picture.shape[:2], self._size)
            top, left, high, wide = fit.picture
            bars = (top, height - high - top, left, width - wide - left)
            fitted = cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA)
            fitted = cv2.copyMakeBorder(fitted, *bars, cv2.BORDER_CONSTANT)
        if height % 2 or width % 2:
            fitted = cv2.copyMakeBorder(fitted, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        return fitted.astype(np.uint8, copy=False)

    @contextmanager
    def _encoding(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            self._open = False
            with suppress(av.FFmpegError):
                self._container.close()
            raise unwritable(self.path, error.errno, str(error)) from None


def _encoder() -> str:
    for name in _ENCODERS:
        with suppress(av.codec.codec.UnknownCodecError):
            return Codec(name, "w").name
    raise SinkError(
        "this build of PyAV cannot write H.264; install its wheel: pip install --force-reinstall av"
    )
