"""What a stream leaves: the files of its sinks, a picture, and its figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Self

from streamdyn.picture import ContactSheet
from streamdyn.sinks import SINKS, Sink, make_folder, open_sink, writing
from streamdyn.summary import StreamSummary
from streamdyn.types import Frame, Prediction

PICTURE = "overview.png"
SUMMARY = "summary.json"

# A kind of file, "jsonl" say, or what makes a sink, given the folder of the stream.
SaveTo = str | Callable[[Path], Sink]


class Output:
    """The files of one stream. A stream that gives no prediction leaves none, and no folder."""

    def __init__(
        self, folder: Path, save: Sequence[SaveTo], picture: bool, summary: StreamSummary
    ) -> None:
        self._folder = folder
        self._save = save
        self._sheet = ContactSheet() if picture else None
        self._summary = summary
        self._sinks: list[Sink] | None = None  # None before the first prediction
        self._stack = ExitStack()

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        """Write a prediction, and count it with the time that takes."""
        start = perf_counter()
        if self._sinks is None:
            self._sinks = self._open()
        for sink in self._sinks:
            sink(prediction, frame)
        if self._sheet:
            self._sheet(prediction, frame)
        self._summary.add(prediction, perf_counter() - start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        start = perf_counter()
        try:
            self._stack.close()
        finally:
            self._summary.end(perf_counter() - start)

    def _open(self) -> list[Sink]:
        make_folder(self._folder)
        for name in (*(file for _, file in SINKS.values()), PICTURE):
            with writing(self._folder / name):
                (self._folder / name).unlink(missing_ok=True)
        self._stack.callback(self._draw_picture)
        return [
            self._stack.enter_context(
                open_sink(kind, self._folder) if isinstance(kind, str) else kind(self._folder)
            )
            for kind in self._save
        ]

    def _draw_picture(self) -> None:
        if self._sheet:
            path = self._folder / PICTURE
            with writing(path):
                self._sheet.write(path)


def write_summaries(folder: Path, summaries: Iterable[StreamSummary]) -> None:
    """Write the figures of all streams of a run to a file in its folder.

    Raises:
        SinkError: it cannot be written.
    """
    table = {"streams": [summary.to_dict() for summary in summaries]}
    make_folder(folder)
    path = folder / SUMMARY
    with writing(path):
        path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def result_files(
    folder: Path, summaries: Iterable[StreamSummary], save: Sequence[SaveTo]
) -> list[Path]:
    """The files that a run has left in its folder: of each stream by itself, and of all."""
    names = [file for kind, (_, file) in SINKS.items() if kind in save] + [PICTURE]
    paths = [folder / summary.stream / name for summary in summaries for name in names]
    return [path for path in [*paths, folder / SUMMARY] if path.is_file()]
