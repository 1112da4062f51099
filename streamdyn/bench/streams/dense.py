"""The peer: every frame of the same files, computed whole by OpenVINO."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamdyn.bench.networks import make_network
from streamdyn.bench.peers import Job, make_peers, numbers
from streamdyn.bench.streams.meter import Span
from streamdyn.bench.streams.setting import Setting
from streamdyn.engine.cpu.rows import RowType
from streamdyn.errors import StreamdynError
from streamdyn.types import Classification

Images = list[NDArray[np.uint8]]


class Dense:
    """A network in OpenVINO, fed with as many pictures at once as there are in a batch.

    Pictures of the next batch are decoded and converted while this one is computed.

    Raises:
        StreamdynError: OpenVINO is not installed, or cannot run the network.
    """

    def __init__(self, setting: Setting, name: str, dtype: RowType, batch: int) -> None:
        module = _OfPictures(make_network(name)).eval()
        self._input = torch.zeros(batch, *setting.size, 3, dtype=torch.uint8)
        job = Job(module, self._input, dtype, os.cpu_count() or 1)
        peers, left_out = make_peers(job, ["openvino"])
        if not peers:
            raise StreamdynError(
                f"the dense peer cannot run: {left_out['openvino']}; install openvino"
            )
        self.name, self._run = next(iter(peers.items()))  # the first is of the asked precision

    def rate(self, clips: Sequence[Path], seconds: float) -> Span:
        """What is computed of some files, a batch holding the next frame of each in turn."""
        batches = _batches(clips, len(self._input))
        with ThreadPoolExecutor(1) as pool:
            waiting = _prefetch(pool, batches)
            self._compute(waiting.result())  # slower than all others
            waiting = _prefetch(pool, batches)
            frames, start = 0, perf_counter()
            while (spent := perf_counter() - start) < seconds:
                images, waiting = waiting.result(), _prefetch(pool, batches)
                self._compute(images)
                frames += len(images)
            waiting.result()
        return Span(spent, frames, 0)

    def results(self, clip: Path, frames: int) -> list[Classification]:
        """Of the first frames of a file."""
        images = _decoded(clip)
        found: list[Classification] = []
        while len(found) < frames:
            logits = self._compute([next(images) for _ in self._input])
            scores = np.exp(logits - logits.max(axis=1, keepdims=True))
            scores /= scores.sum(axis=1, keepdims=True)
            labels = np.arange(logits.shape[1])
            found += [Classification(labels, each, tuple(map(str, labels))) for each in scores]
        return found[:frames]

    def _compute(self, images: Images) -> NDArray[np.float32]:
        np.stack(images, out=self._input.numpy())
        return numbers(self._run())


class _OfPictures(nn.Module):
    """A network that takes pictures (N, H, W, 3) as they are decoded."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.network(x.permute(0, 3, 1, 2).float() / 255)
        return found


def _prefetch(pool: Executor, batches: Iterator[Images]) -> Future[Images]:
    return pool.submit(next, batches)


def _batches(clips: Sequence[Path], size: int) -> Iterator[Images]:
    readers = [_decoded(clip) for clip in clips]
    turn = 0
    while True:
        yield [next(readers[(turn + n) % len(readers)]) for n in range(size)]
        turn += size


def _decoded(clip: Path) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a file, decoded on as many threads as a source uses."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(2, os.cpu_count() or 1)
        for frame in container.decode(stream):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
