"""A model as the pipeline uses it: a network with its card, frames in and results out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import numpy as np

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine import Network
from streamdyn.engine.report import LayerReport
from streamdyn.errors import ModelError
from streamdyn.models.card import ModelCard
from streamdyn.models.cut import Cutter, Intake, Pieces
from streamdyn.models.prepare import Prepare
from streamdyn.models.reading import read, require_readable
from streamdyn.postprocess import Postprocess
from streamdyn.types import Frame, Result, Task

SIZES: Final = 4  # of inputs, for which a model keeps networks


@dataclass(slots=True)
class VisionCache:
    """What a model keeps of one stream."""

    intake: Intake
    cutter: Cutter
    prepare: Prepare
    network: Network
    state: Any  # the network's own cache
    postprocess: Postprocess
    result: Result | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What a model is and costs, for pictures of one size."""

    name: str
    task: Task
    labels: tuple[str, ...]
    parameters: int
    macs: int  # multiply-accumulates of a frame that is computed whole
    source: tuple[int, int]  # (height, width) of the picture
    input: tuple[int, int, int, int]  # (1, 3, height, width)
    blocks: tuple[int, int]  # (rows, cols)
    outputs: dict[str, tuple[int, ...]]  # shapes by name
    layers: tuple[LayerReport, ...]


class VisionModel:
    """Computes the results of frames. One model serves any number of streams.

    Args:
        network: makes the network for an input of (height, width) pixels.
        block: pixels of the input along the side of a block.
    """

    def __init__(
        self, card: ModelCard, network: Callable[[tuple[int, int]], Network], *, block: int = 32
    ) -> None:
        self.card = card
        self.block = block
        self._make = network
        self._networks: dict[tuple[int, int], Network] = {}  # the one used last comes last
        self._making = Lock()  # streams in threads share the model
        if card.input.size != "source":
            self._network(card.input.size)  # what cannot run is refused now, not at a frame

    @property
    def name(self) -> str:
        """The model's name, as its card says."""
        return self.card.name

    @property
    def task(self) -> Task:
        """What kind of results it gives."""
        return self.card.task

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class."""
        return self.card.output.labels

    def grid(self, size: tuple[int, int]) -> BlockGrid:
        """The blocks that the model computes of a picture of `size` (height, width).

        Raises:
            ModelError: the model cannot take such pictures.
        """
        return self.card.input.lay(size).grid(self.block)

    def new_cache(self, size: tuple[int, int]) -> VisionCache:
        """What the model keeps of one stream of pictures of `size` (height, width).

        Raises:
            ModelError: the model cannot take such pictures.
        """
        intake = self.intake(size)
        network = self._network(intake.fit.size)
        return VisionCache(
            intake=intake,
            cutter=Cutter(intake.card, intake.fit),
            prepare=Prepare(intake.card, intake.fit.size),
            network=network,
            state=network.new_cache(),
            postprocess=self.card.new_postprocess(),
        )

    def __call__(self, frame: Frame, mask: BlockMask, cache: VisionCache) -> Result:
        """Compute the masked blocks, reuse the rest; an empty mask gives the last result.

        Raises:
            ModelError: the network or its postprocessing fails.
            ValueError: the frame is not of the cache's size, or the first mask is empty.
        """
        source = cache.intake.fit.source
        if frame.size != source:
            raise ValueError(f"a frame of {frame.size} pixels with a cache for {source}")
        if mask:
            pieces = cache.cutter(frame, cache.intake.seen(mask))
            return self.run_many([(pieces, mask, cache)])[0]
        if cache.result is None:
            raise ValueError("a new cache holds nothing to reuse; compute all blocks first")
        return cache.result

    def intake(self, size: tuple[int, int]) -> Intake:
        """What a stream of pictures of `size` (height, width) needs, to cut them by itself.

        Raises:
            ModelError: the model cannot take such pictures.
        """
        fit = self.card.input.lay(size)
        grid = fit.grid(self.block)
        return Intake(self.card.input, fit, grid, _on_blocks(self._network(fit.size), grid))

    def run_many(self, jobs: Sequence[tuple[Pieces, BlockMask, VisionCache]]) -> list[Result]:
        """Compute pictures of several streams together, from what each network has to see of them.

        Args:
            jobs: of each picture, the pieces that its stream's `Intake` asks for, and its mask,
                which is not empty. The caches differ.

        Raises:
            ModelError: the network or its postprocessing fails.
        """
        results: dict[int, Result] = {}
        for network in {id(cache.network): cache.network for _, _, cache in jobs}.values():
            mine = [n for n, (_, _, cache) in enumerate(jobs) if cache.network is network]
            requests = [
                (cache.prepare(pieces), mask, cache.state)
                for pieces, mask, cache in (jobs[n] for n in mine)
            ]
            for n, outputs in zip(mine, network.run_many(requests), strict=True):
                cache = jobs[n][2]
                cache.result = read(cache.postprocess, outputs, cache.intake.fit, self.card)
                results[n] = cache.result
        return [results[n] for n in range(len(jobs))]

    def share(self, mask: BlockMask) -> float:
        """Fraction of the multiply-accumulates that computing `mask` costs, in [0, 1]."""
        return self._network((mask.grid.height, mask.grid.width)).share(mask)

    def describe(self, size: tuple[int, int] | None = None) -> Description:
        """What the model is and costs for pictures of `size`; tries it on a black one.

        Args:
            size: (height, width); None: that of the input, where the card fixes it.

        Raises:
            ModelError: the model does not work, or its card leaves the size open and so do you.
        """
        size = size or (None if self.card.input.size == "source" else self.card.input.size)
        if size is None:
            raise ModelError(f"model {self.name} takes any size; say which, as --size HxW")
        fit = self.card.input.lay(size)
        network = self._network(fit.size)
        grid = fit.grid(self.block)
        blank = Cutter(self.card.input, fit).whole(np.zeros((*size, 3), np.uint8))
        image = Prepare(self.card.input, fit.size)(blank)
        outputs = network(image, grid.all(), network.new_cache())
        read(self.card.postprocess, outputs, fit, self.card)
        return Description(
            name=self.name,
            task=self.task,
            labels=self.classes,
            parameters=network.parameters,
            macs=network.macs,
            source=size,
            input=(1, 3, *fit.size),
            blocks=grid.shape,
            outputs=dict(network.outputs),
            layers=tuple(network.report()),
        )

    def _network(self, size: tuple[int, int]) -> Network:
        """The network for an input size, made when it is first needed.

        Raises:
            ModelError: it cannot be made, or the card does not suit its outputs.
        """
        with self._making:
            network = self._networks.pop(size, None) or self._new_network(size)
            self._networks[size] = network
            if len(self._networks) > SIZES:
                del self._networks[next(iter(self._networks))]
            return network

    def _new_network(self, size: tuple[int, int]) -> Network:
        network = self._make(size)
        require_readable(self.card, network.outputs, size)
        return network


def _on_blocks(network: Network, grid: BlockGrid) -> bool:
    """Whether the network computes blocks, and so reads no more of its input, or all of it."""
    one = grid.none()
    one.active[0, 0] = True
    return network.share(one) < 1
