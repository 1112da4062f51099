"""What a user asks of a model besides its name; every loader takes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from streamdyn.engine import Network
from streamdyn.models.card import ModelCard
from streamdyn.models.vision import VisionModel

if TYPE_CHECKING:
    from streamdyn.engine.blocks import BlockNetwork
    from streamdyn.engine.cpu.rows import RowType
    from streamdyn.engine.graph import Graph

Propagation = Literal["copy"] | float  # see `streamdyn.engine.propagation`


@dataclass(frozen=True, slots=True)
class Request:
    """How to load a model. See `load_model`."""

    card: Path | None = None
    size: tuple[int, int] | None = None
    block: int = 32
    threads: int | None = None
    dtype: RowType = "float32"
    propagation: Propagation = "copy"
    device: str = "cpu"

    def read_card(self, beside: Path | None = None) -> ModelCard | None:
        """The card that was given, or the one beside the model's file, if there is any."""
        if self.card:
            return ModelCard.read(self.card)
        path = beside.with_suffix(".toml") if beside else None
        return ModelCard.read(path) if path and path.is_file() else None

    def on_blocks(
        self, graph: Graph, *, parameters: int, outputs: tuple[str, ...] | None
    ) -> BlockNetwork:
        """A captured network, computed as was asked for."""
        from streamdyn.engine.blocks import BlockNetwork  # loads torch

        return BlockNetwork(
            graph,
            block=self.block,
            parameters=parameters,
            dtype=self.dtype,
            propagation=self.propagation,
            outputs=outputs,
            threads=self.threads,
            device=self.device,
        )

    def finish(self, card: ModelCard, network: Callable[[tuple[int, int]], Network]) -> VisionModel:
        """The model, in the size that was asked for."""
        return VisionModel(
            card.resized(self.size) if self.size else card, network, block=self.block
        )
