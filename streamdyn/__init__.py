"""Dynamic inference on video streams: compute only what changed.

>>> from streamdyn import BlockGrid
>>> grid = BlockGrid(height=64, width=96, block=32)
>>> grid.shape
(2, 3)
>>> grid.none().density, grid.all().density
(0.0, 1.0)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamdyn.blocks import BlockGrid, BlockMask
    from streamdyn.engine.sparsify import sparsify
    from streamdyn.errors import ModelError, PolicyError, SinkError, SourceError, StreamdynError
    from streamdyn.load import load_policy
    from streamdyn.models import load_model
    from streamdyn.pipeline import Pipeline
    from streamdyn.policy import Policy, ScorePolicy, StreamState
    from streamdyn.records import load_results
    from streamdyn.sources import open_source
    from streamdyn.types import Classification, Detections, Frame, Prediction, Segmentation

# Each public name and its home, imported when first used: no name pulls in torch, ray or av
# before it needs them, and the command answers at once.
_HOMES = {
    "BlockGrid": "blocks",
    "BlockMask": "blocks",
    "Classification": "types",
    "Detections": "types",
    "Frame": "types",
    "ModelError": "errors",
    "Pipeline": "pipeline",
    "Policy": "policy",
    "PolicyError": "errors",
    "Prediction": "types",
    "ScorePolicy": "policy",
    "Segmentation": "types",
    "SinkError": "errors",
    "SourceError": "errors",
    "StreamState": "policy",
    "StreamdynError": "errors",
    "load_model": "models",
    "load_policy": "load",
    "load_results": "records",
    "open_source": "sources",
    "sparsify": "engine.sparsify",
}

__all__ = [
    "BlockGrid",
    "BlockMask",
    "Classification",
    "Detections",
    "Frame",
    "ModelError",
    "Pipeline",
    "Policy",
    "PolicyError",
    "Prediction",
    "ScorePolicy",
    "Segmentation",
    "SinkError",
    "SourceError",
    "StreamState",
    "StreamdynError",
    "load_model",
    "load_policy",
    "load_results",
    "open_source",
    "sparsify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'streamdyn' has no attribute {name!r}")
    return getattr(importlib.import_module(f"streamdyn.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
