"""Video files for benchmarks, made on the spot and the same every time."""

from __future__ import annotations

from pathlib import Path

import av

from streamdyn.sources.synthetic.encode import encode
from streamdyn.sources.synthetic.street import Street

SCENE_FRAMES = 250
FPS = 25


def street_clip(path: Path, size: tuple[int, int], frames: int, *, seed: int = 1) -> Path:
    """Write a street scene of `size` (height, width) as H.264, and return its path.

    At most 250 frames are rendered and encoded; a longer clip repeats their packets, up to the
    next whole scene, so that it costs no more to make.

    Args:
        seed: of the scene.
    """
    height, width = size
    scene = path.with_name("scene.mp4")
    street = Street(
        seed=seed, height=height, width=width, frames=min(frames, SCENE_FRAMES), fps=FPS
    )
    encode(street, scene)
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
