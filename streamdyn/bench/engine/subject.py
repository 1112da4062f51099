"""A network under test: its blocks, its peers, and what both are to agree with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamdyn.bench.harness import interleave
from streamdyn.bench.networks import Rebuilt, make_network
from streamdyn.bench.peers import PEERS, Job, Run, make_peers, numbers
from streamdyn.engine.cpu.crew import set_threads
from streamdyn.engine.cpu.rows import RowType
from streamdyn.engine.sparse import SparseNetwork
from streamdyn.engine.sparsify import capture_network
from streamdyn.errors import StreamdynError

BENCH = "engine"
PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for all figures of a run."""

    dtype: RowType
    block: int
    threads: int
    rounds: int
    warmup: int
    size: tuple[int, int]  # (height, width) of the input
    detector_size: tuple[int, int]
    peers: Sequence[str]
    turn_seconds: float
    masks: int  # of each kind, taken in turn
    streams: int
    clip_frames: int
    setups: int  # processes
    say: Callable[[str], None]  # tells the user what happens

    def race(self, contenders: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
        """Time contenders in turns: seconds per call, by name."""
        return interleave(
            contenders,
            self.rounds,
            self.warmup,
            turn_seconds=self.turn_seconds,
            pause_seconds=PAUSE_SECONDS,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A network on blocks, and the same network in its peers."""

    name: str
    dtype: RowType
    network: SparseNetwork
    x: Tensor  # the image that everyone computes
    peers: dict[str, Run]
    missing: Sequence[str]  # of `PEERS`: not asked for, or cannot run here
    truth: NDArray[np.float32]  # what torch computes of it in float32

    @property
    def case(self) -> str:
        """What the figures are about, in words."""
        grid = self.network.grid
        size = f"{grid.height}x{grid.width}"
        return f"{self.name} {size} {self.dtype}, blocks of {grid.block}"

    def about(self, **more: str | float) -> dict[str, str | float]:
        """What the figures hold for, for programs."""
        grid = self.network.grid
        return {
            "network": self.name,
            "height": grid.height,
            "width": grid.width,
            "dtype": self.dtype,
            "block": grid.block,
            **more,
        }


def published(name: str, setting: Setting) -> Subject:
    """A network of `streamdyn.bench.networks`."""
    module = make_network(name)
    graph = capture_network(module, setting.size)
    network = SparseNetwork(graph, setting.block, setting.dtype)
    return _subject(name, setting.dtype, network, module, setting)


def onnx_file(path: Path, setting: Setting) -> Subject:
    """The network of an ONNX file, in float32 like the file.

    Its peers get it rebuilt in torch: a file that was exported for one size holds shapes of that
    size, and they refuse it at others.
    """
    graph = capture_network(path, setting.detector_size)
    network = SparseNetwork(graph, setting.block, "float32")
    setting.say(f"{path.name}: its peers get it as a torch module, rebuilt at this size")
    return _subject(path.name, "float32", network, Rebuilt(graph).eval(), setting)


def _subject(
    name: str, dtype: RowType, network: SparseNetwork, module: nn.Module, setting: Setting
) -> Subject:
    set_threads(setting.threads)
    grid = network.grid
    x = torch.randn(1, 3, grid.height, grid.width, generator=torch.Generator().manual_seed(1))
    peers, left_out = make_peers(Job(module, x, dtype, setting.threads), setting.peers)
    for peer, why in left_out.items():
        setting.say(f"{name}: without {peer}, which cannot run here: {why}")
    if not peers:
        raise StreamdynError(
            f"{name}: none of the peers {', '.join(setting.peers)} can run here; name others with "
            "--peers"
        )
    missing = [peer for peer in PEERS if peer not in setting.peers or peer in left_out]
    if missing:
        setting.say(
            f"{name}: no bounds on the speed-up over the fastest peer, which might be one that is "
            f"missing: {', '.join(missing)}"
        )
    with torch.inference_mode():
        truth = numbers(module(x))
    return Subject(name, dtype, network, x, peers, missing, truth)
