"""What outputs look like: a card that names another postprocessing is told, one is suggested."""

import numpy as np
import pytest

from streamdyn import ModelError
from streamdyn.fit import Fit
from streamdyn.postprocess import BUILTIN
from streamdyn.postprocess.likely import Reading, readings, told

LABELS = tuple(f"class {number}" for number in range(12))
FIT = Fit.make("stretch", (64, 96), (64, 96))

# What each built-in postprocessing reads with 12 labels, for an input of 64x96.
READ = {
    "topk": [(1, 12)],
    "yolo": [(1, 16, 126)],
    "fastestdet": [(1, 17, 4, 6)],
    "detr": [(1, 30, 12), (1, 30, 4)],
    "argmax": [(1, 12, 32, 48)],
}


@pytest.mark.parametrize(("task", "name"), [(t, n) for t, names in BUILTIN.items() for n in names])
def test_what_a_postprocessing_reads_looks_like_it(task, name):
    shapes = READ[name]
    found = readings(shapes, FIT.size[0])
    assert found[0][:2] == (task, name)
    assert Reading(task, name, len(LABELS)) in found
    for reading in found:  # each of the ways works
        read = BUILTIN[reading.task][reading.postprocess]
        labels = tuple(map(str, range(reading.labels)))
        read([np.zeros(shape, np.float32) for shape in shapes], FIT, labels)


@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        ([(1, 85, 22, 22)], "argmax with 85 labels, or fastestdet with 80"),  # any input
        ([(1, 4, 22, 22)], "argmax with 4 labels"),
        ([(None, 1000)], "topk with 1000 labels"),
        ([(1, 84, None)], "yolo with 80 labels"),
        ([(1, 100, 92), (1, 100, 4)], "detr with 91 labels, or detr with 92"),
    ],
)
def test_readings_are_told(shapes, found):
    assert told(readings(shapes)) == found


@pytest.mark.parametrize(
    "shapes",
    [
        [],
        [(1, None)],
        [(1, 7, 5)],  # fewer boxes than channels
        [(1, 12, 11, 11), (1, 3, 11, 11), (1, 80, 11, 11), (1, 12, 22, 22)],
        [(1, 30, 12), (1, 31, 4)],
    ],
)
def test_what_looks_like_nothing_known(shapes):
    assert readings(shapes) == []


def test_a_wrong_postprocessing_is_told_what_the_outputs_look_like():
    outputs = [np.zeros((1, 17, 4, 6), np.float32)]
    with pytest.raises(ModelError) as refused:
        BUILTIN["detection"]["yolo"](outputs, FIT, LABELS)
    assert str(refused.value) == (
        "postprocess 'yolo' reads outputs of (1, 16, boxes); the network gives (1, 17, 4, 6), as "
        "for argmax with 17 labels, or fastestdet with 12. Check postprocess, labels and tensors "
        "in the model's card"
    )
