"""From a network as its author wrote it to one that runs on blocks."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Final, Literal

import torch

from streamdyn.engine.capture.module import capture
from streamdyn.engine.capture.onnx import capture_onnx
from streamdyn.engine.cpu.rows import RowType
from streamdyn.engine.device.kernels import KernelChoice
from streamdyn.engine.graph import Graph
from streamdyn.engine.simplify import simplify
from streamdyn.engine.sparse import SparseNetwork

# The export of torch works on state of the whole process.
_CAPTURING: Final = Lock()


def sparsify(
    model: torch.nn.Module | str | Path,
    size: tuple[int, int],
    *,
    block: int = 32,
    dtype: RowType = "float32",
    propagation: Literal["copy"] | float = "copy",
    device: str | torch.device = "cpu",
    kernels: KernelChoice = "auto",
) -> SparseNetwork:
    """Make a network compute chosen blocks of its input and keep the rest.

    >>> net = sparsify(model, size=(448, 768), dtype="bfloat16")  # doctest: +SKIP
    >>> cache = net.new_cache()  # doctest: +SKIP
    >>> y = net(x, net.grid.all(), cache)  # doctest: +SKIP
    >>> y = net(x2, mask, cache)  # doctest: +SKIP

    Args:
        model: takes one image (1, 3, *size); or the path of an ONNX file.
        size: (height, width) of the input, in pixels.
        block: pixels along the side of a block.
        dtype: in which maps are kept and multiplied; sums are float32 always.
        propagation: "copy", 0 for exact, or a tolerance; see `streamdyn.engine.propagation`.
        device: where to compute, take images and give outputs: any that torch knows.
        kernels: "torch" for its plain operations, "triton" for CUDA; see `streamdyn.engine.device`.

    Raises:
        ModelError: the model cannot be captured; it names the layer and says why.
        ValueError: the model, the size, the propagation or the dtype is none of these, or the
            device is not there or cannot do it.
    """
    if not isinstance(model, (torch.nn.Module, str, Path)):
        raise ValueError(f"a model is a torch.nn.Module or the path of an ONNX file, not {model!r}")
    if not (len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size)):
        raise ValueError(f"size is (height, width) in pixels, got {size!r}")
    graph = capture_network(Path(model) if isinstance(model, str) else model, size)
    return SparseNetwork(graph, block, dtype, propagation, device, kernels)


def capture_network(network: torch.nn.Module | Path, size: tuple[int, int]) -> Graph:
    """The simplified graph of a torch module, or of an ONNX file that has been checked.

    Raises:
        ModelError: it cannot be captured.
    """
    with _CAPTURING:
        if isinstance(network, Path):
            return simplify(capture_onnx(network, size))
        return simplify(capture(network, size))
