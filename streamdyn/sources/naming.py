"""Stream names: short, safe as the name of a folder, and unique."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath
from urllib.parse import urlsplit

LONGEST = 100  # characters of a name


def safe_name(text: str) -> str:
    """Make a text fit to name a folder on any system, in at most 100 characters.

    >>> safe_name("Tür 1: Hof?")
    'Tür_1_Hof'
    """
    name = re.sub(r"[^\w.-]+", "_", text).strip("._")
    return name[:LONGEST].rstrip("._") or "stream"


def url_name(url: str) -> str:
    """Name a stream after its URL, without credentials and query.

    >>> url_name("rtsp://admin:secret@cam.local:554/door/main.m3u8?token=1")
    'cam.local_554_door_main'
    """
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return safe_name(f"{place}{PurePath(parts.path).with_suffix('')}" if parts.path else place)


def natural_order(path: PurePath) -> tuple[list[tuple[str, int]], str]:
    """Sort key of paths: numbers in them count as numbers.

    >>> [path.name for path in sorted(map(PurePath, ("i10.png", "i9.png", "i")), key=natural_order)]
    ['i', 'i9.png', 'i10.png']
    """
    parts = re.findall(r"(\D*)(\d*)", str(path.with_suffix("")))
    return [(text.casefold(), int(digits or 0)) for text, digits in parts], path.suffix


def distinct_names(streams: Iterable[tuple[str, str]]) -> list[str]:
    """Make names distinct, also where case does not count: by folder, then by number.

    Args:
        streams: the (name, path or URL) of each; names as `safe_name` makes them, and so are those
            returned.

    >>> distinct_names([("cam", "a/cam.mp4"), ("cam", "b/cam.mp4"), ("cam", "b/cam.avi")])
    ['a-cam', 'b-cam', 'b-cam-2']
    """
    streams = list(streams)
    counts = Counter(name.casefold() for name, _ in streams)
    taken: set[str] = set()
    names = []
    for name, place in streams:
        if counts[name.casefold()] > 1 and (folder := PurePath(place).parent.name):
            name = safe_name(f"{folder}-{name}")
        unique, number = name, 1
        while unique.casefold() in taken:
            number += 1
            ending = f"-{number}"
            unique = name[: LONGEST - len(ending)] + ending
        taken.add(unique.casefold())
        names.append(unique)
    return names
