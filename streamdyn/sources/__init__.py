"""Where frames come from. `open_source` takes what people write for a source:

=======================================  ================================================
spec                                     what it is
=======================================  ================================================
``cam.mp4``, any file FFmpeg knows       a video; also a local ``.m3u8``
``folder``                               each video in it is a stream; if it has only
                                         images, they are one stream
``'clips/**/*.mp4'``                     a glob: as a folder
``cameras.txt``                          one source per line, relative to the list
``img_%04d.png``, ``photo.jpg``          images, as a stream of `fps` frames a second
``0``, ``webcam:1``, ``/dev/video0``     a camera of this machine
``rtsp://``, ``http(s)://``, ``udp://``  the network: cameras, files, HLS
``synthetic:NAME?option=value``          a made-up scene with known truth: street, square
=======================================  ================================================

A kind of source is a module with `open_spec(spec, options)`, and a line in `opening`.
`reconnecting` makes a live source a camera that comes back whenever it is lost.
`open_clip` reads frames at given times instead, in any order.
"""

from __future__ import annotations

from pathlib import Path

from streamdyn.backoff import Backoff
from streamdyn.sources.access import Clip, open_clip
from streamdyn.sources.base import Options, Source, Transport
from streamdyn.sources.camera import Camera, reconnecting
from streamdyn.sources.camera_events import CameraEvent, CameraReport
from streamdyn.sources.opening import open_spec_in
from streamdyn.sources.report import DamagedRange, SourceInfo, SourceReport
from streamdyn.sources.resume import Resume
from streamdyn.sources.selection import Selection

__all__ = [
    "Backoff",
    "Camera",
    "CameraEvent",
    "CameraReport",
    "Clip",
    "DamagedRange",
    "Resume",
    "Source",
    "SourceInfo",
    "SourceReport",
    "open_clip",
    "open_source",
    "reconnecting",
]


def open_source(
    spec: str | Path,
    *,
    live: bool | None = None,
    start: float = 0.0,
    duration: float | None = None,
    stride: int = 1,
    max_fps: float | None = None,
    max_frames: int | None = None,
    fps: float | None = None,
    threads: int | None = None,
    motion: bool = False,
    name: str | None = None,
    timeout_seconds: float = 10.0,
    key_frames: bool = False,
    transport: Transport | None = None,
    resume: Resume | None = None,
) -> Source:
    """Open a source by what names it: see the table of `streamdyn.sources`.

    Args:
        live: whether to keep up with the source by dropping frames; None: as it is by nature. A
            file that is forced to be live runs at its own pace, like a camera.
        start: seconds after the beginning of the stream.
        duration: seconds from `start`.
        stride: take every n-th frame.
        max_fps: take at most so many frames for each second of the stream.
        max_frames: take at most so many in all.
        fps: rate of an image sequence, which has no times of its own; 25 by default.
        threads: of the decoder; by default two.
        motion: whether frames have motion vectors, where the codec has them. Decoding then uses one
            core for most files, since FFmpeg gets the vectors wrong when it decodes frames side by
            side.
        name: of the stream; by default made from the spec.
        timeout_seconds: a live or network source that gives nothing for so long is lost.
        key_frames: whether to decode only the key frames of H.264 and HEVC, and a file's first
            frame. The others still come, with their index and time, but to read the pixels of one
            raises SourceError.
        transport: of RTSP; by default "tcp". "udp" loses packets rather than wait for them.
        resume: the frame after which to go on, with the same arguments otherwise. A file then gives
            what it would have given.

    Raises:
        SourceError: nothing is there, or an argument does not suit it. What is there but cannot
            be decoded shows when the source is read, or asked for its `info()`.
    """
    selection = Selection(start, duration, stride, max_fps, max_frames)
    options = Options(
        live, selection, fps, threads, motion, name, timeout_seconds, key_frames, transport
    )
    source = open_spec_in(str(spec), options)
    return source if resume is None else source.resumed(resume)
