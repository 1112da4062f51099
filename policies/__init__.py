"""Policies that ship with streamdyn. Each module holds one idea.

A class listed in `__all__ = [
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
