"""Policies that ship with streamdyn. Each module holds one idea.

A class listed in `__all__` is known to `--policy` by its name. If it can be made without
arguments, this project's own tests hold it to the contract of `streamdyn.testing`.
"""

if __name__ != "streamdyn.policies":
    raise ImportError("import streamdyn.policies, not policies; run `pip install -e .` first")

from .accumulate import Accumulate
from .adaptive_change import AdaptiveChange
from .adaptive_interval import AdaptiveInterval
from .age import Age
from .blockcopy import BlockCopy
from .budget import Budget
from .change import Change
from .features import Features
from .interval import Interval
from .key_frames import KeyFrames
from .motion import Motion
from .random import Random
from .refresh import Refresh
from .replay import Replay
from .scene_cut import SceneCut
from .switch import Switch
from .uncertainty import Uncertainty
from .whole import All, First

__all__ = [
    "Accumulate",
    "AdaptiveChange",
    "AdaptiveInterval",
    "Age",
    "All",
    "BlockCopy",
    "Budget",
    "Change",
    "Features",
    "First",
    "Interval",
    "KeyFrames",
    "Motion",
    "Random",
    "Refresh",
    "Replay",
    "SceneCut",
    "Switch",
    "Uncertainty",
]
