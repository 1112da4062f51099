"""What a stream leaves: the files of its sinks, a picture, and its figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Self

from streamdyn.picture import ContactSheet
from streamdyn.sinks import SINKS, Sink, make_folder, open_sink, writing
from streamdyn.sinks.delivery import Remote
from streamdyn.summary import StreamSummary
from streamdyn.types import Frame, Prediction

PICTURE = "overview.png"
SUMMARY = "summary.json"

# A kind of file, "jsonl" say, or what makes a sink, given the folder of the stream.
SaveTo = str | Callable[[Path], Sink]


class Output:
    """The files of one stream. A stream that gives no prediction leaves none, and no folder.

    Args:
        picture: whether to draw one.
        spool: a folder for what waits for receivers over the network; None: that of the stream.
    """

    def __init__(
        self,
        folder: Path,
        save: Sequence[SaveTo],
        picture: bool,
        summary: StreamSummary,
        spool: Path | None = None,
    ) -> None:
        self._folder = folder
        self._save = save
        self._sheet = ContactSheet() if picture else None
        self._summary = summary
        self._spool = spool
        self._sinks: list[Sink] | None = None  # None before the first prediction

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
        self.close()

    def close(self) -> None:
        """Write what is left, everything at once: receivers may take their time.

        Raises:
            SinkError: something cannot be written.
        """
        start, sinks = perf_counter(), self._sinks or []
        try:
            with ThreadPoolExecutor(max(len(sinks), 1)) as pool:
                closed = [pool.submit(sink.close) for sink in sinks]
            if self._sinks is not None:
                self._draw_picture()
            for ending in closed:
                ending.result()
        finally:
            deliveries = [sink.delivery for sink in sinks if isinstance(sink, Remote)]
            self._summary.deliveries = [asdict(delivery) for delivery in deliveries]
            self._summary.end(perf_counter() - start)

    def _open(self) -> list[Sink]:
        make_folder(self._folder)
        for name in (*(file for _, file in SINKS.values()), PICTURE):
            with writing(self._folder / name):
                (self._folder / name).unlink(missing_ok=True)
        with ExitStack() as stack:  # if one of them cannot be opened, the others are closed
            sinks = [
                stack.enter_context(
                    open_sink(kind, self._folder, self._spool)
                    if isinstance(kind, str)
                    else kind(self._folder)
                )
                for kind in self._save
            ]
            stack.pop_all()
        return sinks

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
