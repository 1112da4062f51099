"""The policy network: a few planes about each block in, how far it is worth computing out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

HIDDEN = 16  # channels between the layers
_SPREAD = np.float32(4)  # logits lie within; beyond, nothing could be unlearnt
_NEAR = tuple(product(range(3), repeat=2))  # the window of a 3x3 convolution, row by row


class PolicyNetwork:
    """Two 3x3 convolutions over the block grid and a 1x1 one: (rows, cols, planes) to a logit each.

    Fully convolutional, so it takes any grid; each block sees two blocks around it. NumPy on maps
    this small is faster than calls into a framework.

    Args:
        weights: a matrix (inputs, outputs) for each layer, whose last row is the bias; the inputs
            of a 3x3 convolution are its window row by row, and all channels of each place.
    """

    def __init__(self, weights: Sequence[Array]) -> None:
        self.weights = [layer.copy() for layer in weights]
        self._inputs: list[Array] = []  # of each layer in the last call: (rows, cols, inputs)
        self._logits = np.zeros((0, 0), np.float32)

    @classmethod
    def random(cls, planes: int, seed: int) -> PolicyNetwork:
        """An untrained one, for which all blocks are nearly alike."""
        draw = np.random.default_rng(seed)
        layers = []
        for n, m in ((9 * planes, HIDDEN), (9 * HIDDEN, HIDDEN), (HIDDEN, 1)):
            layer = draw.normal(0, (2 / n) ** 0.5, (n + 1, m))
            layer[-1] = 0
            layers.append(layer.astype(np.float32))
        layers[-1] *= np.float32(0.1)
        return cls(layers)

    def __call__(self, planes: Array) -> Array:
        """The logits (rows, cols) of planes (rows, cols, planes)."""
        first, second, last = self.weights
        windows = _windows(planes)
        wider = _windows(_rectified(windows, first))
        features = _rectified(wider, second)
        self._inputs = [windows, wider, features]
        logits: Array = _SPREAD * np.tanh((features @ last[:-1] + last[-1])[..., 0] / _SPREAD)
        self._logits = logits
        return logits

    def gradients(self, of_logits: Array) -> list[Array]:
        """What the weights get of the gradient of the logits (rows, cols) of the last call."""
        windows, wider, features = self._inputs
        _, second, last = self.weights
        back = (of_logits * (1 - (self._logits / _SPREAD) ** 2))[..., None]
        of_features: Array = (back * last[:-1, 0]) * (features > 0)
        # The middle of a window of `wider` is the block's own output of the first layer.
        middle = slice(4 * HIDDEN, 5 * HIDDEN)
        of_hidden = _unwindowed(of_features @ second[:-1].T) * (wider[..., middle] > 0)
        pairs = ((windows, of_hidden), (wider, of_features), (features, back))
        return [_outer(inputs, outputs) for inputs, outputs in pairs]


def _rectified(inputs: Array, weights: Array) -> Array:
    outputs: Array = inputs @ weights[:-1]
    outputs += weights[-1]
    return np.maximum(outputs, 0, out=outputs)


def _outer(inputs: Array, outputs: Array) -> Array:
    """The gradient of a layer's weights, that of the bias last."""
    weights = (inputs.swapaxes(1, 2) @ outputs).sum(axis=0)
    return np.vstack([weights, outputs.sum(axis=(0, 1))])


def _windows(maps: Array) -> Array:
    """The 3x3 window around each place of maps (rows, cols, n), zeros beyond: (rows, cols, 9 n)."""
    rows, cols, channels = maps.shape
    padded = np.zeros((rows + 2, cols + 2, channels), np.float32)
    padded[1:-1, 1:-1] = maps
    return np.concatenate([padded[y : y + rows, x : x + cols] for y, x in _NEAR], axis=-1)


def _unwindowed(windows: Array) -> Array:
    """The adjoint of `_windows`: for each place, the sum over the windows that hold it."""
    rows, cols, _ = windows.shape
    parts = windows.reshape(rows, cols, 9, -1)
    padded = np.zeros((rows + 2, cols + 2, parts.shape[-1]), np.float32)
    for n, (y, x) in enumerate(_NEAR):
        padded[y : y + rows, x : x + cols] += parts[:, :, n]
    return padded[1:-1, 1:-1]
