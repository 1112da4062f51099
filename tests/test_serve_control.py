"""Streams that are added, changed and removed: by the file while it is edited, and by the API."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.errors import PolicyError, SinkError, StreamdynError
from streamdyn.serve.control import Control, NotAllowedError
from streamdyn.serve.settings import StreamSettings
from streamdyn.serve.watch import Watch
from tests.serve_kit import MemorySupervisor, read_config, wait_until, write_config

TWO = "streams:\n  a: {source: x}\n  b: {source: y}\n"


@pytest.fixture
def supervisor():
    return MemorySupervisor()


@pytest.fixture
def control(supervisor, tmp_path):
    control = Control(supervisor, read_config(tmp_path, TWO))
    control.start()
    return control


def test_the_streams_of_the_file_are_started(control, supervisor):
    assert supervisor.calls == ["add a", "add b"]
    assert control.streams == supervisor.specs


def test_an_edited_file_is_applied_as_a_difference(control, supervisor, tmp_path):
    changes = control.apply(
        read_config(tmp_path, "streams:\n  b: {source: y, stride: 2}\n  c: {source: z}")
    )
    assert supervisor.calls[2:] == ["remove a", "change b", "add c"]
    assert supervisor.specs["b"].stride == 2
    assert str(changes) == "added c; changed b; removed a"
    assert str(control.apply(read_config(tmp_path, TWO))) == "added a; changed b; removed c"


def test_sections_that_are_read_once_are_named(control, supervisor, tmp_path):
    changes = control.apply(read_config(tmp_path, TWO + "engine: {workers: 2}\nhttp: {port: 1}"))
    assert str(changes) == "later engine, http"
    assert len(supervisor.calls) == 2


def test_what_the_api_did_outlives_an_edit_of_the_file(control, supervisor, tmp_path):
    control.put("extra", StreamSettings(source="z"))
    control.remove("a")
    control.apply(read_config(tmp_path, TWO + "  c: {source: z}"))
    assert set(supervisor.specs) == {"b", "c", "extra"}
    control.apply(read_config(tmp_path, "streams:\n  b: {source: y}"))  # a is gone already
    assert set(supervisor.specs) == {"b", "extra"}


def test_one_stream_that_cannot_start_holds_up_no_other(supervisor, tmp_path):
    text = (
        "streams:\n  a: {source: x, policy: Chnage}\n  b: {source: y}\n  c: {source: z, save: jsno}"
    )
    changes = Control(supervisor, read_config(tmp_path, text)).start()
    assert changes.added == ["b"]
    assert supervisor.calls == ["add b"]
    assert list(changes.failed) == ["a", "c"]
    assert "did you mean Change?" in changes.failed["a"]
    assert "did you mean jsonl?" in changes.failed["c"]
    assert str(changes).startswith("added b; failed a: policy 'Chnage'")


def test_what_failed_is_tried_again_when_it_is_mended(supervisor, tmp_path):
    control = Control(supervisor, read_config(tmp_path, "streams: {a: {source: x, save: jsno}}"))
    control.start()
    changes = control.apply(read_config(tmp_path, "streams: {a: {source: x, save: csv}}"))
    assert changes.added == ["a"]


@pytest.mark.parametrize(
    ("name", "settings", "error"),
    [
        ("a/b", {}, StreamdynError),
        ("A", {}, ValueError),
        ("c", {"policy": "Nope"}, PolicyError),
        ("c", {"policy": "Interval(every=2)", "target_agreement": 0.9}, PolicyError),
        ("c", {"save": ["nope"]}, SinkError),
        ("c", {"policy": "os:system"}, NotAllowedError),
        ("c", {"policy": "Change | ./evil.py:Evil"}, NotAllowedError),
        ("c", {"model": "os:getcwd"}, NotAllowedError),
        ("c", {"model": "evil.onnx"}, NotAllowedError),
        ("c", {"card": "evil.toml"}, NotAllowedError),
    ],
)
def test_the_api_cannot_add_what_cannot_be(control, supervisor, name, settings, error):
    with pytest.raises(error):
        control.put(name, StreamSettings(source="z", **settings))
    assert set(supervisor.specs) == {"a", "b"}


def test_the_api_may_use_code_that_the_file_names(supervisor, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from streamdyn import Policy\nclass Mine(Policy):\n"
        "    def decide(self, frame, state):\n        return state.grid.none()\n"
    )
    policy = f"{tmp_path}/mine.py:Mine"
    stream = "{source: x, model: a.onnx, card: b.toml}"
    text = f"defaults: {{policy: '{policy}'}}\nstreams: {{a: {stream}}}"
    control = Control(supervisor, read_config(tmp_path, text))
    for settings in ({"policy": policy}, {"model": "a.onnx", "card": "b.toml"}, {}):
        control.put("c", StreamSettings(source="z", **settings))
        assert supervisor.specs["c"].policy == policy
    with pytest.raises(NotAllowedError, match=r"model a.onnx may run code, and cameras.yaml does"):
        control.put("c", StreamSettings(source="z", model="a.onnx"))  # with the card beside it


def test_new_streams_have_the_defaults_of_the_file(supervisor, tmp_path):
    control = Control(supervisor, read_config(tmp_path, "defaults: {stride: 3}"))
    assert control.put("c", StreamSettings(source="z"))
    assert supervisor.specs["c"].stride == 3
    assert not control.put("c", StreamSettings(source="z", stride=4))
    assert supervisor.calls == ["add c", "change c"]
    with pytest.raises(ValueError, match="there is a stream c already"):
        control.put("c", StreamSettings(source="z"), new=True)


STREAMS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3), max_size=4)


@given(versions=st.lists(STREAMS, min_size=1, max_size=4))
def test_after_any_edits_what_runs_is_what_the_file_says(versions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("edits")
    configs = [
        read_config(
            folder,
            "streams:\n" + "".join(f"  {n}: {{source: x, stride: {s}}}\n" for n, s in v.items()),
        )
        for v in versions
    ]
    supervisor = MemorySupervisor()
    control = Control(supervisor, configs[0])
    control.start()
    for config in configs[1:]:
        calls = len(supervisor.calls)
        before = dict(supervisor.specs)
        control.apply(config)
        touched = {call.split(" ")[1] for call in supervisor.calls[calls:]}
        assert touched == {
            name
            for name in before.keys() | config.streams.keys()
            if before.get(name) != config.streams.get(name)
        }
    assert supervisor.specs == configs[-1].streams


def test_a_file_is_taken_over_when_it_is_edited(control, supervisor, tmp_path):
    told = []
    path = tmp_path / "cameras.yaml"
    with Watch(path, control.apply, told.append, seconds=0.01):
        write_config(tmp_path, "streams: {a: {source: x, polcy: y}}")
        wait_until(lambda: len(told) == 1)
        assert "did you mean policy?" in told[0]
        assert "all goes on as before" in told[0]
        assert supervisor.calls == ["add a", "add b"]
        write_config(tmp_path, TWO + "  c: {source: z}\n")
        wait_until(lambda: len(told) == 2)
    assert told[1] == f"{path}: added c"
    assert supervisor.calls[2:] == ["add c"]


def test_a_file_that_is_being_written_is_left_alone(control, supervisor, tmp_path):
    told = []
    path = tmp_path / "cameras.yaml"
    watch = Watch(path, control.apply, told.append)
    for half in ("", "streams:\n", "streams:\n  a: {source: x}\n"):
        path.write_text(half)
        watch.look()
    path.unlink()
    watch.look()
    write_config(tmp_path, TWO + "  c: {source: z}\n")
    watch.look()
    assert not told
    watch.look()
    watch.look()
    assert told == [f"{path}: added c"]


def test_an_edit_that_fails_is_told_and_the_next_one_heard(control, supervisor, tmp_path):
    told = []

    def broken(stream):
        raise RuntimeError(f"no way to {stream.source}")

    with Watch(tmp_path / "cameras.yaml", control.apply, told.append, seconds=0.01):
        supervisor.add = broken
        write_config(tmp_path, TWO + "  c: {source: 'rtsp://u:geheim@h/x'}\n")
        wait_until(lambda: len(told) == 1)
        assert "not taken over whole: RuntimeError('no way to rtsp://***@h/x" in told[0]
        del supervisor.add
        write_config(tmp_path, TWO + "  ddd: {source: z}\n")
        wait_until(lambda: len(told) == 2)
    assert told[1].endswith("added ddd")
