"""What holds for all figures of a run, and the networks and scenes that they are of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from streamdyn.bench.cameras import camera_clip
from streamdyn.bench.clips import street_clip
from streamdyn.blocks import BlockGrid
from streamdyn.engine.cpu.rows import supports
from streamdyn.sources.synthetic.encode import encode
from streamdyn.sources.synthetic.street import Street
from streamdyn.specs import ModelSpec

BENCH = "streams"
CAMERA_FPS = 10
KEY_FRAME_SECONDS = 1.0  # of the cameras
FILE_POLICY = "Change(threshold=6)"  # computes a tenth of the blocks of the files
CAMERA_POLICY = "Change(threshold=9)"  # and a twentieth of those of the cameras

_CAMERA_SECONDS = 20.0
_CAMERA_TRAFFIC = 0.5
_CARD = """name = "{name}"
task = "recognition"

[input]
size = [{height}, {width}]

[output]
postprocess = "topk"
labels = ["first", "second"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How large, how long and how often."""

    folder: Path  # for clips, cards and results
    say: Callable[[str], None]  # tells the user what happens
    size: tuple[int, int] = (448, 768)  # (height, width) of pictures and networks
    heavy: str = "resnet50"
    light: str = "resnet18"
    file_frames: int = 20_000  # more than are read while a figure is measured
    streams: int = 8
    rounds: int = 3
    seconds: float = 15.0  # that a throughput is measured for
    live_seconds: float = 600.0
    outages: tuple[float, ...] = (5.0, 30.0, 120.0)  # seconds
    cycles: int = 50  # off and on again
    kill_frames: int = 150  # of each file
    kill_seconds: float = 10.0  # between two kills
    kills: int = 100  # at most
    soak_minutes: float = 30.0

    def quick(self) -> Setting:
        """The same, small and short: a trial."""
        return replace(
            self,
            size=(224, 384),
            rounds=1,
            seconds=3.0,
            live_seconds=30.0,
            outages=(5.0,),
            cycles=5,
            kill_frames=60,
            kill_seconds=3.0,
        )

    def network(self, name: str) -> ModelSpec:
        """A network of `streamdyn.bench.networks`, as processes load it."""
        height, width = self.size
        card = self.folder / f"{name}.toml"
        card.write_text(_CARD.format(name=name, height=height, width=width))
        return ModelSpec(
            spec=f"streamdyn.bench.networks:make_network(name={name!r})",
            card=str(card),
            dtype="bfloat16" if supports("bfloat16") else "float32",
        )

    def blocks(self, spec: ModelSpec) -> int:
        """How many blocks a picture has."""
        return BlockGrid(*self.size, spec.block).all().active.size

    def files(self, count: int) -> list[Path]:
        """Streets by a fixed camera, each another one, made when first asked for."""
        found = [self.folder / f"street-{seed}.mp4" for seed in range(1, count + 1)]
        for seed, path in enumerate(found, start=1):
            if not path.exists():
                street_clip(path, self.size, self.file_frames, seed=seed)
        return found

    def cameras(self, count: int) -> list[Path]:
        """The same at a camera's pace and with its key frames, with less that moves."""
        height, width = self.size
        found = []
        for seed in range(1, count + 1):
            path = self.folder / f"camera-{seed}.mp4"
            if not path.exists():
                frames = round(_CAMERA_SECONDS * CAMERA_FPS)
                street = Street(
                    seed=seed, height=height, width=width, fps=CAMERA_FPS, frames=frames,
                    traffic=_CAMERA_TRAFFIC,
                )  # fmt: skip
                encode(street, path, preset="veryfast")
            key = KEY_FRAME_SECONDS
            found.append(camera_clip(path, self.folder, fps=CAMERA_FPS, key_frame_seconds=key))
        return found
