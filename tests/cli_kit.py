"""The command, as tests call it."""

from __future__ import annotations

from streamdyn.cli import main

CLIP = "synthetic:street?height=64&width=96&frames=6&seed=3"


def run(*words: object) -> int:
    """The exit code of the command with these words."""
    return main([str(word) for word in words])
