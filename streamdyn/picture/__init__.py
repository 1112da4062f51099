"""The picture for people: a few frames with what was computed of them, and density over time."""

from streamdyn.picture.sheet import ContactSheet

__all__ = ["ContactSheet"]
