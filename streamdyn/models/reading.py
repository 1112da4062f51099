"""From a network's outputs to a result, by the postprocessing that the card names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import ModelError
from streamdyn.fit import Fit
from streamdyn.models.card import ModelCard
from streamdyn.postprocess import BUILTIN, Postprocess
from streamdyn.types import Classification, Detections, Result, Segmentation, Task

_RESULTS: dict[Task, type[Result]] = {
    "recognition": Classification,
    "detection": Detections,
    "segmentation": Segmentation,
}


def read(
    postprocess: Postprocess, outputs: tuple[NDArray[np.float32], ...], fit: Fit, card: ModelCard
) -> Result:
    """What the outputs say of the picture that lies on the input as `fit` has it.

    Args:
        postprocess: the card's, in the form for one stream, say.

    Raises:
        ModelError: the postprocessing fails, or gives something else than the task asks for.
    """
    what = f"postprocess {card.output.postprocess!r} of model {card.name}"
    try:
        result = postprocess(outputs, fit, card.output.labels)
    except ModelError:
        raise
    except Exception as error:  # whatever a user's own function does
        raise ModelError(f"{what} fails: {type(error).__name__}: {error}") from error
    expected = _RESULTS[card.task]
    if not isinstance(result, expected):
        raise ModelError(
            f"{what} returned {type(result).__name__}; "
            f"a {card.task} model needs {expected.__name__}"
        )
    return result


def require_readable(
    card: ModelCard, shapes: Mapping[str, tuple[int, ...]], size: tuple[int, int]
) -> None:
    """Try a built-in postprocessing on blank outputs; one of the user's may ask for true ones.

    Args:
        shapes: of the outputs, by name.
        size: (height, width) of the network's input.

    Raises:
        ModelError: it does not read outputs of these shapes.
    """
    if card.output.postprocess in BUILTIN[card.task]:
        blank = tuple(np.zeros(shape, np.float32) for shape in shapes.values())
        read(card.postprocess, blank, Fit.make("stretch", size, size), card)
