"""Sinks: where predictions go, one sink per stream and file or receiver.

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
from streamdyn.sinks.address import Address
from streamdyn.sinks.base import Callback, Sink, make_folder, writing

if TYPE_CHECKING:
    from streamdyn.sinks.csv import Csv
    from streamdyn.sinks.jsonl import JsonLines
    from streamdyn.sinks.mqtt import Mqtt
    from streamdyn.sinks.parquet import Parquet
    from streamdyn.sinks.video import Video
    from streamdyn.sinks.webhook import Webhook

__all__ = [
    "RECEIVERS",
    "SINKS",
    "Callback",
    "Csv",
    "JsonLines",
    "Mqtt",
    "Parquet",
    "Sink",
    "Video",
    "Webhook",
    "check_kind",
    "make_folder",
    "open_sink",
    "wants_frame",
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
# The scheme of each URL that results can be sent to, and the class that sends them there.
RECEIVERS = {"mqtt": "Mqtt", "mqtts": "Mqtt", "http": "Webhook", "https": "Webhook"}
_HOMES = {
    **{name: f"streamdyn.sinks.{kind}" for kind, (name, _) in SINKS.items()},
    "Mqtt": "streamdyn.sinks.mqtt",
    "Webhook": "streamdyn.sinks.webhook",
}


def open_sink(kind: str, folder: str | Path, spool: str | Path | None = None) -> Sink:
    """Open the sink of a kind for a stream.

    Args:
        kind: "jsonl", say, which writes a file, or the URL of a receiver, as in
            "mqtt://host/cameras/{stream}" or "https://host/results".
        folder: that of the stream, made where it is missing. A file of results that is there is
            overwritten.
        spool: a folder for what waits for a receiver, made where it is missing; None: that of the
            stream. Results of an earlier run that wait there for the same one are sent first.

    Raises:
        SinkError: there is no such kind, a file cannot be written, or a library is missing.
    """
    check_kind(kind)
    make = _class_of(kind)
    folder = Path(folder if kind in SINKS or spool is None else spool)
    make_folder(folder)
    sink: Sink = (
        make(folder / SINKS[kind][1])
        if kind in SINKS
        else make(kind, folder / f"{Address.parse(kind).file_name}.spool")
    )
    return sink


def check_kind(kind: str) -> None:
    """Make sure that results can be saved as this kind, or sent to this URL; nothing is opened.

    Raises:
        SinkError: there is no such kind, nothing can be sent to the URL, or a library is missing.
    """
    if "://" in kind:
        Address.parse(kind)  # whose scheme there may not be
        _class_of(kind).receiver(kind)
    elif kind not in SINKS:
        near = get_close_matches(kind, SINKS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SINKS)}"
        raise SinkError(f"results cannot be saved as {kind!r}; {hint}")


def wants_frame(kind: str) -> bool:
    """Whether the sink of a kind reads pixels; if not, it may be given frames that have none.

    Raises:
        SinkError: there is no such kind, or a library is missing.
    """
    check_kind(kind)
    wants: bool = _class_of(kind).wants_frame
    return wants


def _class_of(kind: str) -> Any:
    name = RECEIVERS[kind.partition("://")[0].lower()] if "://" in kind else SINKS[kind][0]
    return __getattr__(name)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'streamdyn.sinks' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
