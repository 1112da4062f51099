"""Video files for benchmarks, made on the spot and the same every time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from streamdyn.sources.synthetic.street import Street

SCENE_FRAMES = 250
FPS = 25


def street_clip(path: Path, size: tuple[int, int], frames: int) -> Path:
    """Write a street scene of `size` (height, width) as H.264, and return its path.

    At most 250 frames are rendered and encoded; a longer clip repeats their packets, up to the
    next whole scene, so that it costs no more to make.
    """
    scene = path.with_name("scene.mp4")
    _encode(scene, size, min(frames, SCENE_FRAMES))
    with av.open(str(path), "w") as output:
        with av.open(str(scene)) as first:
            stream = output.add_stream_from_template(first.streams.video[0])
        for repeat in range(-(-frames // SCENE_FRAMES)):
            with av.open(str(scene)) as container:
                track = container.streams.video[0]
                assert track.time_base is not None, "a file that PyAV wrote has a time base"
                shift = round(repeat * SCENE_FRAMES / FPS / track.time_base)
                for packet in container.demux(track):
                    if packet.pts is not None and packet.dts is not None:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = stream
                        output.mux(packet)
    scene.unlink()
    return path


def _encode(path: Path, size: tuple[int, int], frames: int) -> None:
    height, width = size
    street = Street(seed=1, height=height, width=width, frames=frames, fps=FPS)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(FPS), options={"crf": "26"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(street.render(index).image, format="rgb24")
            output.mux(stream.encode(picture))
        output.mux(stream.encode())
