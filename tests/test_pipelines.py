import pytest

from streamdyn import ModelError, open_source
from streamdyn.pipelines import detection, recognition, segmentation

NETS = """
import torch

class Classify(torch.nn.Conv2d):
    def forward(self, x):
        return super().forward(x).mean((2, 3))

class Detect(torch.nn.Conv2d):
    def forward(self, x):
        return super().forward(x).flatten(2)

def classify():
    return Classify(3, 4, 3)

def detect():
    return Detect(3, 6, 3)
"""
CARD = """
name = "net"
task = "{task}"
[input]
size = [64, 96]
[output]
postprocess = "{postprocess}"
labels = {labels}
"""


@pytest.mark.parametrize(
    ("make", "task", "postprocess", "labels"),
    [
        (recognition, "recognition", "topk", ["a", "b", "c", "d"]),
        (detection, "detection", "yolo", ["a", "b"]),
    ],
)
def test_a_pipeline_for_each_task(make, task, postprocess, labels, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    card = tmp_path / "card.toml"
    card.write_text(CARD.format(task=task, postprocess=postprocess, labels=labels))
    name = "classify" if task == "recognition" else "detect"
    pipeline = make(f"{tmp_path}/nets.py:{name}", card=card)
    predictions = list(pipeline.run(open_source("synthetic:square?height=64&width=96&frames=5")))
    assert [p.result.task for p in predictions] == [task] * 5
    assert [p.fault for p in predictions] == [None] * 5
    assert predictions[0].density == 1
    assert 0 < predictions[2].density < 1


def test_segmentation_out_of_the_box():
    source = open_source("synthetic:street?height=64&width=96&frames=4")
    predictions = list(segmentation().run(source))
    assert [p.index for p in predictions] == [0, 1, 2, 3]
    assert predictions[0].result.labels.shape == (64, 96)
    assert "road" in predictions[0].result.classes


def test_a_model_for_another_task_is_refused():
    with pytest.raises(ModelError, match="street is a model for segmentation, not for detection"):
        detection("street")
