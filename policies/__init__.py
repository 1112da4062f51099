"""Policies that ship with streamdyn. Each module holds one idea.

A class listed in `__all__` is known to `--policy` by its name, and passes the contract of
`streamdyn.testing` in this project's own tests without more code.
"""

if __name__ != "streamdyn.policies":
    raise ImportError("import streamdyn.policies, not policies; run `pip install -e .` first")

from .adaptive_change import AdaptiveChange
from .age import Age
from .budget import Budget
from .change import Change
from .interval import Interval
from .motion import Motion
from .random import Random
from .refresh import Refresh
from .uncertainty import Uncertainty
from .whole import All, First

__all__ = [
    "AdaptiveChange",
    "Age",
    "All",
    "Budget",
    "Change",
    "First",
    "Interval",
    "Motion",
    "Random",
    "Refresh",
    "Uncertainty",
]
