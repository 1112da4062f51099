"""Results as the types of other libraries, which need to be installed only to use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamdyn.types import Detections

if TYPE_CHECKING:
    import supervision


def to_supervision(detections: Detections) -> supervision.Detections:
    """Detections for the annotators and trackers of `supervision`."""
    import supervision

    return supervision.Detections(
        xyxy=detections.boxes,
        confidence=detections.scores,
        class_id=detections.labels,
        data={"class_name": np.array(detections.names, dtype=str)},
    )
