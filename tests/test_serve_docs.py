"""What docs/serve.md tells: its file can be served, and it leaves no setting out."""

import re
from pathlib import Path

import pytest

from streamdyn.serve.sections import Configuration, Engine, Http, Reservation
from streamdyn.serve.settings import StreamSettings
from streamdyn.status import explain
from streamdyn.status.columns import COLUMNS
from tests.serve_kit import read_config, running

PAGE = (Path(__file__).parents[1] / "docs" / "serve.md").read_text()


def test_the_file_of_the_page_can_be_served(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    config = read_config(tmp_path, text, DOOR_PASSWORD="geheim")
    assert config.streams["door"].source == "rtsp://admin:geheim@10.0.0.8/main"
    assert config.streams["door"].save[1] == "mqtt://localhost/cameras/{stream}"
    assert config.streams["yard"].policy == "Interval(every=5)"


@pytest.mark.parametrize("section", [Configuration, StreamSettings, Engine, Http, Reservation])
def test_the_page_tells_of_every_setting(section):
    for name in section.model_fields:
        assert f"`{name}`" in PAGE, name


def test_the_page_tells_of_every_figure():
    told = "".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    known = {"stream", "state", "worker", "frames"}
    for column in COLUMNS:
        assert column.title in known or column.title.removeprefix("age ") in told, column.title


def test_the_page_quotes_what_is_said():
    assert explain(running("cam3")) in PAGE
