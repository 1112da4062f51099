"""The template of a policy: it is written once, and keeps the contract as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamdyn import load_policy
from streamdyn.cli import main
from streamdyn.testing import check_policy


@pytest.mark.parametrize("name", ["MyPolicy", "MyFramePolicy"])
def test_keeps_the_contract(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    assert main(["policies", "--template", str(path)]) == 0
    assert check_policy(lambda: load_policy(f"{path}:{name}")) == []
    assert "./mine.py:MyPolicy" in path.read_text()


def test_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text("precious = 1\n")
    assert main(["policies", "--template", str(path)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert path.read_text() == "precious = 1\n"


@pytest.mark.parametrize("name", ["mine.txt", "my-policy.py", "mine"])
def test_is_a_python_module(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policies", "--template", str(tmp_path / name)]) == 1
    assert "such as my_policy.py, not" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_argument_without_a_default_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policies"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Replay")]
    assert line.split()[:2] == ["Replay", "results"]
