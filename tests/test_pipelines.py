import pytest

from streamdyn import ModelError, open_source
from streamdyn.pipelines import detection, segmentation


def test_segmentation_out_of_the_box():
    source = open_source("synthetic:street?height=64&width=96&frames=4")
    predictions = list(segmentation().run(source))
    assert [p.index for p in predictions] == [0, 1, 2, 3]
    assert predictions[0].result.labels.shape == (64, 96)
    assert "road" in predictions[0].result.classes


def test_a_model_for_another_task_is_refused():
    with pytest.raises(ModelError, match="street is a model for segmentation, not for detection"):
        detection("street")
