"""Weights of the policy network as a file: one array for each layer, and no code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamdyn import PolicyError

Array = NDArray[np.float32]

_BUILTIN = Path(__file__).with_name("street.npz")


def read_weights(source: str | Path, shapes: list[tuple[int, ...]]) -> list[Array]:
    """Read "builtin" weights, or those of a file that `write_weights` wrote.

    Raises:
        ValueError: there is no such file, or it holds no layers of these shapes.
    """
    path = _BUILTIN if source == "builtin" else Path(source)
    try:
        with np.load(path, allow_pickle=False) as file:
            layers = [file[f"layer{n}"] for n in range(len(shapes))]
    except FileNotFoundError:
        raise ValueError(f"weights must be builtin, random or a file; {path} is none") from None
    except Exception as error:  # a damaged archive fails in many ways
        raise ValueError(f"{path} holds no weights that BlockCopy saved: {error}") from None
    if [layer.shape for layer in layers] != shapes or not all(map(_usable, layers)):
        raise ValueError(f"{path} holds weights of another network")
    return layers


def write_weights(path: str | Path, layers: list[Array]) -> None:
    """Write weights to a file.

    Raises:
        PolicyError: it cannot be written.
    """
    arrays = {f"layer{n}": layer for n, layer in enumerate(layers)}
    try:
        with Path(path).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise PolicyError(f"cannot write weights to {path}: {error.strerror}") from None


def _usable(layer: NDArray[np.generic]) -> bool:
    return layer.dtype == np.float32 and bool(np.isfinite(layer).all())
