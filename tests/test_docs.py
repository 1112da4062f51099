"""What the documents tell people to type: it works as written."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from streamdyn import load_results
from streamdyn.bench.policies.entrants import trivial_entrants
from streamdyn.cli import main
from streamdyn.sources.synthetic.encode import encode
from streamdyn.sources.synthetic.street import Street

PAGE = Path(__file__).parents[1] / "docs" / "write-a-policy.md"
BLOCK = re.compile(r"```(?P<kind>python|sh)(?: title=(?P<title>\S+))?\n(?P<text>.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where `data/street.mp4` is a small clip of half a second."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "data").mkdir()
    clip = Street(seed=3, height=96, width=160, frames=12)
    encode(clip, folder / "data" / "street.mp4", preset="ultrafast")
    return folder


@pytest.mark.timeout(300)  # it is ten commands
def test_a_newcomer_can_follow_the_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code is saved under its title, the commands are run, in the order of the page."""
    monkeypatch.chdir(folder)
    ran: list[str] = []
    for block in BLOCK.finditer(PAGE.read_text()):
        if block["kind"] == "python":
            Path(block["title"]).write_text(block["text"])
            continue
        for line in block["text"].replace("\\\n", "").splitlines():
            program, *words = shlex.split(line)
            if program == "pytest":
                subprocess.run([sys.executable, "-m", "pytest", "-q", *words], check=True)
            elif words[0] == "bench":
                check_bench(words, monkeypatch, capsys)
            else:
                assert program == "streamdyn"
                assert main(words) == 0, line
            ran.append(words[0])
    assert {"policies", "check", "run", "view", "bench", "test_edges.py"} <= set(ran)
    for picture in ("mine.png", "mine.mp4"):
        assert Path(picture).stat().st_size > 1000
    for run in ("mine", "edges", "again", "held"):
        predictions = load_results(f"runs/{run}/street")
        assert len(predictions) == 12
        assert not any(p.fault for p in predictions)
    first, again = (load_results(f"runs/{run}/street") for run in ("mine", "again"))
    assert [p.density for p in again] == [p.density for p in first]


def check_bench(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the page shows are lines of the tables that the command prints, but for the figures."""
    monkeypatch.setattr("streamdyn.bench.policies.trivial_entrants", lambda: trivial_entrants()[:2])
    capsys.readouterr()
    assert main(words) == 0
    printed = {tuple(line.split()) for line in capsys.readouterr().out.splitlines()}
    shown = [
        line.split()
        for block in re.findall(r"```\n((?:policy|at) .*?)```", PAGE.read_text(), re.DOTALL)
        for line in block.splitlines()
    ]
    headings = [line for line in shown if line[0] in ("policy", "at")]
    assert len(headings) == 2
    assert {tuple(line) for line in headings} <= printed
    specs = {line[0] for line in shown if line[0].startswith("./")}
    assert len(specs) == 2
    assert specs <= {line[0] for line in printed if line}


def test_the_page_names_what_there_is() -> None:
    """The fields in its tables are those of the classes."""
    from streamdyn import BlockGrid, Frame, StreamState

    page = PAGE.read_text()
    for prefix, kind in (("frame", Frame), ("state", StreamState)):
        for name in re.findall(rf"`{prefix}\.(\w+)`", page):
            known = {*dir(kind), *getattr(kind, "__annotations__", {}), "index", "pts_seconds"}
            assert name in known | {"size", "key_frame"}, name
    for name in ("shape", "none", "all", "mean", "peak", "largest"):
        assert hasattr(BlockGrid, name)
