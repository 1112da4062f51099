"""Reading a network's outputs: are they what a postprocessing expects?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from streamdyn.errors import ModelError
from streamdyn.postprocess.likely import readings, told

Fraction = Annotated[float, Field(ge=0, le=1)]  # checked where a card sets it
Count = Annotated[int, Field(ge=1)]


def read_outputs(
    name: str, outputs: Sequence[NDArray[np.float32]], *shapes: tuple[int | str, ...]
) -> tuple[NDArray[np.float32], ...]:
    """The outputs, if they are of these shapes: a number stands for itself, a name for any size.

    Raises:
        ModelError: they are not.
    """
    fits = len(outputs) == len(shapes) and all(
        output.ndim == len(shape)
        and all(
            isinstance(want, str) or want == n for want, n in zip(shape, output.shape, strict=True)
        )
        for output, shape in zip(outputs, shapes, strict=True)
    )
    if not fits:
        wanted = ", ".join(_text(shape) for shape in shapes)
        given = ", ".join(_text(output.shape) for output in outputs) or "nothing"
        found = readings([output.shape for output in outputs])
        likely = f", as for {told(found)}" if found else ""
        raise ModelError(
            f"postprocess {name!r} reads outputs of {wanted}; the network gives {given}{likely}. "
            f"Check postprocess, labels and tensors in the model's card"
        )
    return tuple(outputs)


def _text(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logistic function, without overflow."""
    result: NDArray[np.float32] = 0.5 * (np.tanh(0.5 * x) + 1)
    return result


def softmax(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    result: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return result
