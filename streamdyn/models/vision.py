"""A model as the pipeline uses it: a network with its card, frames in and results out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine import Network
from streamdyn.engine.report import LayerReport
from streamdyn.errors import ModelError
from streamdyn.fit import Fit
from streamdyn.models.card import ModelCard
from streamdyn.models.prepare import Prepare
from streamdyn.postprocess import Postprocess
from streamdyn.types import Classification, Detections, Frame, Result, Segmentation, Task

SIZES: Final = 4  # of inputs, for which a model keeps networks

_RESULTS: dict[Task, type[Result]] = {
    "recognition": Classification,
    "detection": Detections,
    "segmentation": Segmentation,
}


@dataclass(slots=True)
class VisionCache:
    """What a model keeps of one stream."""

    fit: Fit
    prepare: Prepare
    network: Network
    on_blocks: bool  # whether the network reads only the masked blocks of its input
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
        fit = self.card.input.lay(size)
        network = self._network(fit.size)
        return VisionCache(
            fit=fit,
            prepare=Prepare(self.card.input, fit),
            network=network,
            on_blocks=_on_blocks(network, fit.grid(self.block)),
            state=network.new_cache(),
            postprocess=self.card.new_postprocess(),
        )

    def __call__(self, frame: Frame, mask: BlockMask, cache: VisionCache) -> Result:
        """Compute the masked blocks, reuse the rest; an empty mask gives the last result.

        Raises:
            ModelError: the network or its postprocessing fails.
            ValueError: the frame is not of the cache's size, or the first mask is empty.
        """
        if frame.size != cache.fit.source:
            raise ValueError(f"a frame of {frame.size} pixels with a cache for {cache.fit.source}")
        if mask:
            read = mask if cache.on_blocks else mask.grid.all()
            outputs = cache.network(cache.prepare.update(frame, read), mask, cache.state)
            cache.result = self._read(cache.postprocess, outputs, cache.fit)
        if cache.result is None:
            raise ValueError("a new cache holds nothing to reuse; compute all blocks first")
        return cache.result

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
        blank = Prepare(self.card.input, fit)(np.zeros((*size, 3), np.uint8))
        outputs = network(blank, grid.all(), network.new_cache())
        self._read(self.card.new_postprocess(), outputs, fit)
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
        """The network for an input size, made when it is first needed."""
        with self._making:
            network = self._networks.pop(size, None) or self._make(size)
            self._networks[size] = network
            if len(self._networks) > SIZES:
                del self._networks[next(iter(self._networks))]
            return network

    def _read(
        self, postprocess: Postprocess, outputs: tuple[NDArray[np.float32], ...], fit: Fit
    ) -> Result:
        name = self.card.output.postprocess
        try:
            result = postprocess(outputs, fit, self.classes)
        except ModelError:
            raise
        except Exception as error:  # whatever a user's own function does
            raise ModelError(
                f"postprocess {name!r} of model {self.name} fails: {type(error).__name__}: {error}"
            ) from error
        expected = _RESULTS[self.task]
        if not isinstance(result, expected):
            raise ModelError(
                f"postprocess {name!r} of model {self.name} returned {type(result).__name__}; "
                f"a {self.task} model needs {expected.__name__}"
            )
        return result


def _on_blocks(network: Network, grid: BlockGrid) -> bool:
    """Whether the network computes blocks, and so reads no more of its input, or all of it."""
    one = grid.none()
    one.active[0, 0] = True
    return network.share(one) < 1
