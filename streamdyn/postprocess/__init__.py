"""What a network says, as a result in pixels of the source.

A postprocessing function takes the network's outputs, how the picture lies on its input, and the
names of the classes; its options are keyword arguments that a model card sets.
"""

from __future__ import annotations

from collections.abc import Callable

from streamdyn.postprocess.detection import detr, fastestdet, yolo
from streamdyn.postprocess.recognition import topk
from streamdyn.postprocess.segmentation import argmax, argmax_of_stream
from streamdyn.types import Result, Task

# (outputs, fit, classes, **options) -> Result, where outputs is a Sequence[NDArray[np.float32]],
# fit a Fit and classes a tuple[str, ...]. Raises ModelError for outputs of other shapes than it
# reads.
Postprocess = Callable[..., Result]

BUILTIN: dict[Task, dict[str, Postprocess]] = {
    "recognition": {"topk": topk},
    "detection": {"detr": detr, "fastestdet": fastestdet, "yolo": yolo},
    "segmentation": {"argmax": argmax},
}

# For each of these, what makes a form of it for the frames of one stream, in turn: that says the
# same, and computes only what changed since the frame before.
STREAMED: dict[Postprocess, Callable[[], Postprocess]] = {argmax: argmax_of_stream}
