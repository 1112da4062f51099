"""Sinks: where predictions go, one sink per stream and file.

>>> with open_sink("jsonl", "out/cam") as sink:  # doctest: +SKIP
...     for prediction, frame in results:
...         sink(prediction, frame)
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamdyn.errors import SinkError
from streamdyn.sinks.base import Callback, Sink, make_folder, writing

if TYPE_CHECKING:
    from streamdyn.sinks.csv import Csv
    from streamdyn.sinks.jsonl import JsonLines
    from streamdyn.sinks.parquet import Parquet
    from streamdyn.sinks.video import Video

__all__ = [
    "SINKS",
    "Callback",
    "Csv",
    "JsonLines",
    "Parquet",
    "Sink",
    "Video",
    "make_folder",
    "open_sink",
    "writing",
]

# Each kind that writes a file: its class, and the file in the folder of the stream. The classes
# are imported when first used, for they bring av and pyarrow.
SINKS = {
    "jsonl": ("JsonLines", "results.jsonl"),
    "csv": ("Csv", "results.csv"),
    "parquet": ("Parquet", "results.parquet"),
    "video": ("Video", "annotated.mp4"),
}
_HOMES = {name: f"streamdyn.sinks.{kind}" for kind, (name, _) in SINKS.items()}


def open_sink(kind: str, folder: str | Path) -> Sink:
    """Open the sink of a kind, "jsonl" say, on its file in the folder of a stream.

    The folder is made where it is missing; a file that is there is overwritten.

    Raises:
        SinkError: there is no such kind, the file cannot be written, or a library is missing.
    """
    if kind not in SINKS:
        near = get_close_matches(kind, SINKS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SINKS)}"
        raise SinkError(f"results cannot be saved as {kind!r}; {hint}")
    name, file = SINKS[kind]
    folder = Path(folder)
    make_folder(folder)
    sink: Sink = __getattr__(name)(folder / file)
    return sink


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'streamdyn.sinks' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
