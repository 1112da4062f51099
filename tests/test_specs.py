"""Streams and models as values: they travel, and are built where they arrive."""

import pickle
from contextlib import nullcontext

import pytest

from streamdyn.errors import PolicyError, SourceError
from streamdyn.quality import Quality
from streamdyn.sources.resume import Resume
from streamdyn.specs import EngineSettings, ModelSpec, Resources, StreamSpec
from tests.media_factory import write_video

SQUARE = "synthetic:square?height=64&width=96&frames=6"


def test_specs_travel():
    stream = StreamSpec(name="a", source="x", model=ModelSpec(size=(64, 96)), quality=Quality())
    settings = EngineSettings(workers=2, worker=Resources(num_gpus=0.5, others={"x": 1.0}))
    for value in (stream, settings):
        assert pickle.loads(pickle.dumps(value)) == value


def test_equal_models_are_one_key():
    assert len({ModelSpec(), ModelSpec(), ModelSpec(block=16)}) == 2


def test_credentials_do_not_show():
    shown = repr(
        StreamSpec(name="a", source="rtsp://u:geheim@h/x", save=("mqtt://v:geheim@b/t", "csv"))
    )
    assert "geheim" not in shown
    assert "rtsp://***@h/x" in shown
    assert "'csv'" in shown


def test_a_stream_opens_under_its_name_with_its_options():
    source = StreamSpec(name="door", source=SQUARE, stride=2).open()
    assert source.name == "door"
    assert [frame.index for frame in source] == [0, 2, 4]
    assert source.report.emitted == 3


def test_a_transport_is_for_sources_that_have_one():
    for source in (SQUARE, "http://127.0.0.1:1/x", "rtsp://127.0.0.1:1/x"):
        assert StreamSpec(name="a", source=source, transport="udp").open().name == "a"


def test_a_stream_is_taken_up_again():
    stream = StreamSpec(name="door", source=SQUARE)
    frames = list(stream.open())
    resumed = list(stream.open(resume=Resume(frames[3].index, frames[3].pts_seconds)))
    assert [f.index for f in resumed] == [4, 5]
    assert (resumed[0].image == frames[4].image).all()


@pytest.mark.parametrize(
    ("settings", "is_read"),
    [
        ({}, False),
        ({"save": ("jsonl", "csv")}, False),
        ({"save": ("jsonl", "video")}, True),
        ({"quality": Quality(refresh_seconds=1.0)}, True),
    ],
)
def test_frames_that_nobody_reads_are_not_decoded(settings, is_read, tmp_path):
    clip = write_video(tmp_path / "clip.mp4")
    stream = StreamSpec(name="a", source=str(clip), policy="KeyFrames", **settings)
    _, second, *_ = stream.open()
    assert not second.key_frame
    with nullcontext() if is_read else pytest.raises(SourceError, match="key_frames"):
        assert second.luma.size


def test_what_cannot_be_opened_or_built_is_told():
    with pytest.raises(SourceError, match=r"there is no nowhere.mp4"):
        StreamSpec(name="a", source="nowhere.mp4").open()
    with pytest.raises(PolicyError, match="did you mean Change"):
        StreamSpec(name="a", source=SQUARE, policy="Chnage").make_policy()
    with pytest.raises(PolicyError, match="needs one above 0 to move"):
        StreamSpec(
            name="a", source=SQUARE, policy="Interval(every=2)", quality=Quality(target=0.9)
        ).make_policy()


def test_a_model_is_loaded_as_asked():
    model = ModelSpec(size=(288, 384)).load(threads=1)
    assert model.task == "segmentation"
    assert model.grid((64, 96)).height == 288
