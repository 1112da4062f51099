"""Draws a run afterwards: what was computed, from what the rest is taken, and how old that is."""

from streamdyn.view.output import draw_sheet, draw_video
from streamdyn.view.panels import LAYERS, PANELS, Panel, parse_panels
from streamdyn.view.run import Run

__all__ = ["LAYERS", "PANELS", "Panel", "Run", "draw_sheet", "draw_video", "parse_panels"]
