"""Models by name: `load_model("detector.onnx")`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamdyn.engine.cpu.rows import RowType
    from streamdyn.models.request import Propagation
    from streamdyn.models.vision import VisionModel

# Prefixes of a name, and the modules here that load what follows.
_PREFIXES = {"hf": "huggingface", "timm": "timm", "torchvision": "torchvision"}


def load_model(
    spec: str,
    *,
    card: str | Path | None = None,
    size: tuple[int, int] | None = None,
    block: int = 32,
    threads: int | None = None,
    dtype: RowType = "float32",
    propagation: Propagation = "copy",
    device: str = "cpu",
) -> VisionModel:
    """Load a model by its name.

    Args:
        spec: an ONNX file; `hf:FOLDER`, or `hf:NAME` in the local cache of Hugging Face;
            `module:callable` or `./file.py:callable` that returns a torch.nn.Module;
            `torchvision:NAME` or `timm:NAME`; or the name of a built-in model.
        card: the model card, a TOML file. None: the one beside the file, or the model's own.
        size: (height, width) of the network's input, in place of the card's.
        block: side of a block, in pixels of the input.
        threads: of the computation; None: one per core.
        dtype: in which a network on blocks computes: "bfloat16" is about twice as fast where the
            processor has instructions for it, at a precision that most networks can do with.
        propagation: how a network on blocks treats what lies around them: "copy" computes the
            blocks that a policy asks for, 0 also all that depends on them, so that results are
            those of the whole network; a tolerance above 0 passes on what changed by more.
        device: where the network is computed: "cpu", "cuda", "cuda:1", or another that torch knows.

    Raises:
        ModelError: there is no such model or device, or the model or its card cannot be used.
    """
    from streamdyn.errors import ModelError
    from streamdyn.models.request import Request

    if (size and min(size) < 1) or block < 1 or (threads is not None and threads < 1):
        raise ModelError(
            f"size, block and threads must be positive, got {size}, {block} and {threads}"
        )
    if "://" in spec:
        raise ModelError(f"model {spec!r} is a URL; download it and give the file")
    if dtype not in ("float32", "bfloat16"):
        raise ModelError(f'dtype is "float32" or "bfloat16", not {dtype!r}')
    if propagation != "copy" and (isinstance(propagation, str) or not propagation >= 0):
        raise ModelError(f'propagation is "copy" or a number from 0 on, not {propagation!r}')
    if device != "cpu":
        from streamdyn.models.device import require_device  # loads torch

        require_device(device, dtype)
    path = Path(card) if card else None
    request = Request(path, size, block, threads, dtype, propagation, device)
    kind, target = _kind(spec)
    loader = importlib.import_module(f"streamdyn.models.{kind}")
    model: VisionModel = loader.load(target, request)
    return model


def _kind(spec: str) -> tuple[str, str]:
    """The module that loads a model, and what the model is called there."""
    prefix, colon, target = spec.partition(":")
    if spec.lower().endswith(".onnx"):
        return "onnx", spec
    if colon and prefix in _PREFIXES:
        return _PREFIXES[prefix], target
    return "python" if colon else "packaged", spec
