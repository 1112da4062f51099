"""The configuration: what may stand in it, and how its mistakes are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.quality import Quality
from streamdyn.serve.config import Config
from streamdyn.serve.document import LARGEST, ConfigError
from streamdyn.serve.settings import Settings, StreamSettings
from streamdyn.specs import ModelSpec, Resources, StreamSpec
from tests.serve_kit import SECRET, TOKEN, read_config

WHOLE = """
defaults:
  policy: Change(threshold=4)
  max_fps: 10
  size: 448x768
  propagation: exact
  target_agreement: 0.97
  save: [jsonl, "mqtt://${BROKER:-localhost}/cameras/{stream}"]
streams:
  door:
    source: rtsp://admin:${PASSWORD}@10.0.0.8/door
    policy: Interval(every=5)
    target_agreement: null
    transport: udp
  no: {source: 0, save: csv, stride: 2, live: no}
engine: {workers: auto, threads: 2, num_gpus: 0.5, resources: {camera_net: 1}}
decoders: {num_cpus: 0.25}
output: results
http: {port: "${PORT:-9000}", token: 0123456789012345}
ray: auto
"""


def test_streams_have_the_defaults_and_their_own_settings(tmp_path):
    config = read_config(tmp_path, WHOLE, PASSWORD="p@ss/word")
    model = ModelSpec(size=(448, 768), propagation=0.0)
    assert config.streams["door"] == StreamSpec(
        name="door",
        source="rtsp://admin:p@ss/word@10.0.0.8/door",
        max_fps=10.0,
        transport="udp",
        policy="Interval(every=5)",
        model=model,
        quality=None,
        save=("jsonl", "mqtt://localhost/cameras/{stream}"),
    )
    assert config.streams["no"] == StreamSpec(
        name="no",
        source="0",
        live=False,
        stride=2,
        max_fps=10.0,
        policy="Change(threshold=4)",
        model=model,
        quality=Quality(target=0.97),
        save=("csv",),
    )


def test_sections_have_what_the_runtime_needs(tmp_path):
    settings = read_config(tmp_path, WHOLE, PASSWORD="x").settings
    engine = settings.engine_settings()
    assert (engine.workers, engine.threads) == (None, 2)
    assert engine.worker == Resources(num_gpus=0.5, others={"camera_net": 1.0})
    assert engine.decoder == Resources(num_cpus=0.25)
    assert (settings.output, settings.ray, settings.http.port) == ("results", "auto", 9000)
    assert settings.http.token.get_secret_value() == "0123456789012345"


@pytest.mark.parametrize("text", ["", "# nothing", "streams:", "defaults:\nstreams:\n"])
def test_what_says_nothing_has_all_defaults(text, tmp_path):
    config = read_config(tmp_path, text)
    assert config.streams == {}
    assert config.settings.http.host == "127.0.0.1"


def test_names_of_sections_can_be_merged(tmp_path):
    config = read_config(
        tmp_path, "streams:\n  a: &a {source: x, stride: 3}\n  b: {<<: *a, source: y}\n"
    )
    assert config.streams["b"].stride == 3
    assert config.streams["b"].source == "y"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "streams:\n  a:\n    source: x\n    polcy: y",
            "line 4: streams.a.polcy: there is no",
        ),
        ("streams:\n  a:\n    polcy: y\n    source: x", "did you mean policy?"),
        ("streams:\n  a: {}\n  b:\n    fps: 1", "line 3: streams.b.source: it is missing"),
        ("streams:\n  a: rtsp://x", "line 2: streams.a: settings are expected here"),
        ("streams:\n\n  a:\n    source: x\n    fps: 0", "line 5: streams.a.fps: "),
        ("defaults:\n  stride: 1.5", "line 2: defaults.stride: "),
        ("defaults:\n  size: 448", "line 2: defaults.size: '448' is not HEIGHTxWIDTH"),
        ("defaults:\n  propagation: nan", "line 2: defaults.propagation: 'nan' is not copy"),
        ("defaults:\n  save:\n    - csv\n    - [1]", "line 4: defaults.save.1: "),
        ("defaults:\n  fps: nan", "line 2: defaults.fps: "),
        ("defaults:\n  transport: sctp", "'tcp' or 'udp'"),
        ("engine:\n  workers: many", "line 2: engine.workers: "),
        ("camera: {}", "line 1: camera: there is no such setting here"),
        ("- a\n- b", "line 1: settings are expected here"),
        ("streams:\n  a: {source: x}\n  b: {source: x}\n  a: {source: z}", "line 4: a stands on"),
        ("streams:\n  a: {source: x}\n  b: {source: x}\n  a: {source: z}", "line 2 already"),
        ("streams:\n  a/b: {source: x}", "line 2: streams.a/b: a stream's name must be fit"),
        ("streams:\n  door: {source: x}\n  Door: {source: y}", "line 3: streams.Door: there is"),
        ("streams:\n  a: {source: 'rtsp://***@x'}", "write them"),
        ("http:\n  host: 0.0.0.0", "line 1: http: who reaches 0.0.0.0 could use the API"),
        ("http:\n  token: short", "fewer than 16 characters"),
        ("http:\n  port: 70000", "line 2: http.port: "),
        ("ray: ${RAY}", "line 1: the environment has no RAY"),
        ("streams:\n  a: [", "line 2: "),
        ("streams:\n\t- a", "line 2: "),
        ("? [a]\n: b", "line 1: a key must be a text"),
        ("a: 1\n---\nb: 2", "line 2: "),
        ("\x01", "characters that no YAML file may have"),
        ("[" * 5000, "nested too deeply"),
        ("x" * (LARGEST + 1), "larger than"),
    ],
)
def test_mistakes_are_told_with_their_line(text, told, tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path, text)
    assert told in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "cameras.yaml"))


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path, "defaults: {fps: -1}\nstreams:\n  a: {}\nhttp: {port: x}")
    assert [line.split(":")[0].rpartition(" ")[2] for line in str(caught.value).split("\n")] == [
        "1",
        "3",
        "4",
    ]


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere.yaml: No such file"):
        Config.read(tmp_path / "nowhere.yaml")
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file in UTF-8"):
        Config.read(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    "line",
    [
        f"source: !{SECRET} x",
        f"source: *{SECRET}",
        f"source: rtsp://u:{SECRET}@h: x",
        f"source: rtsp://u:{SECRET}@h/x\n    stride: -1",
        f"save: [1, {{a: {SECRET}}}]",
        f"source: [{SECRET}]",
        f"policy: '{SECRET}\n",
        f"{SECRET}:\n",
    ],
)
def test_no_mistake_shows_what_was_given(line, tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path, f"streams:\n  a:\n    {line}")
    shown = str(caught.value)
    if not line.startswith(SECRET):  # the name of a setting is no secret
        assert SECRET not in shown


def test_what_is_read_does_not_show_secrets(tmp_path):
    text = f"http: {{token: {TOKEN}}}\nstreams:\n  a: {{source: '${{URL}}', save: '${{URL}}'}}"
    config = read_config(tmp_path, text, URL=f"rtsp://admin:{SECRET}@h/x")
    assert config.streams["a"].source == f"rtsp://admin:{SECRET}@h/x"
    for value in (config, config.settings, config.streams, config.document):
        assert SECRET not in repr(value)
        assert TOKEN not in repr(value)


def test_an_error_of_a_part_has_the_line_where_it_got_its_value(tmp_path):
    config = read_config(
        tmp_path,
        "defaults:\n  policy: Chnage\nstreams:\n  a:\n    source: x\n  b:\n"
        "    source: x\n    policy: Chnage2",
    )
    at = tmp_path / "cameras.yaml"
    assert str(config.error("a", "policy", "bad")) == (
        f"{at}, line 2: defaults.policy: (for a) bad"
    )
    assert str(config.error("b", "policy", "bad")) == f"{at}, line 8: streams.b.policy: bad"
    assert str(config.error("b", "model", "bad")) == f"{at}, line 6: streams.b: bad"


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "live": st.booleans(),
        "fps": st.integers(1, 100),
        "stride": st.integers(1, 9),
        "policy": st.sampled_from(["Change", "Interval(every=2)"]),
        "device": st.sampled_from(["cpu", "cuda:1"]),
        "refresh_seconds": st.integers(1, 60),
        "save": st.lists(st.sampled_from(["jsonl", "csv"]), max_size=2).map(tuple),
    },
)


@given(defaults=SETTINGS, own=SETTINGS)
def test_a_setting_is_the_streams_own_or_the_default_or_the_usual(defaults, own):
    merged = StreamSettings(source="x", **own).over(Settings(**defaults))
    usual = StreamSettings(source="x")
    for name in StreamSettings.model_fields:
        expected = own.get(name, defaults.get(name, getattr(usual, name)))
        assert getattr(merged, name) == expected, name


@given(text=st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_no_text_whatever_does_anything_but_read_or_tell(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    try:
        config = read_config(folder, text)
    except ConfigError:
        return
    except UnicodeEncodeError:
        return  # a lone surrogate: no file can hold it
    assert config.streams == {}
