"""Streams to files: source -> pipeline -> sinks, with a summary and a picture of each stream."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Protocol

from streamdyn.errors import SinkError, StreamdynError
from streamdyn.picture import ContactSheet
from streamdyn.pipeline import Model, Pipeline
from streamdyn.policy import Policy
from streamdyn.sinks import open_sink
from streamdyn.sources import Source
from streamdyn.summary import StreamSummary
from streamdyn.types import Prediction

PICTURE = "overview.png"
SUMMARY = "summary.json"


class Watcher(Protocol):
    """Whoever shows the progress of a run. Called from the threads of the streams."""

    def start(self, source: Source) -> None: ...
    def update(self, prediction: Prediction) -> None: ...
    def finish(self, summary: StreamSummary) -> None: ...


class Unwatched:
    """Shows nothing."""

    def start(self, source: Source) -> None: ...
    def update(self, prediction: Prediction) -> None: ...
    def finish(self, summary: StreamSummary) -> None: ...


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs streams through one model and writes what it says of them to a folder.

    Files are taken one after the other; live sources all at once, each in a thread of its own.
    Each stream gets its own policy and a folder `<folder>/<stream>/`; what happens to one stream
    does not touch the others.
    """

    model: Model
    make_policy: Callable[[], Policy]
    folder: Path
    save: Sequence[str] = ("jsonl",)
    watcher: Watcher = field(default_factory=Unwatched)
    picture: bool = True  # whether to draw `overview.png` for each stream

    def run(self, streams: Sequence[Source]) -> list[StreamSummary]:
        """Run all streams to their end; return their summaries, in the order given.

        The summaries also stand in `<folder>/summary.json`, when interrupted as well.

        Raises:
            KeyboardInterrupt: after everything that was computed has been written.
        """
        stop = threading.Event()
        live = sum(stream.live for stream in streams)
        summaries: dict[str, StreamSummary] = {}
        with ThreadPoolExecutor(max_workers=max(live, 1)) as pool:
            futures = [pool.submit(self._run, s, stop, summaries) for s in streams]
            try:
                _wait(futures)
            finally:
                stop.set()
                for future in futures:
                    future.cancel()
                wait(futures)
                done = [summaries[s.name] for s in streams if s.name in summaries]
                self._write_summaries(done)
        return done

    def _run(
        self, source: Source, stop: threading.Event, summaries: dict[str, StreamSummary]
    ) -> None:
        if stop.is_set():
            return
        summary = summaries[source.name] = StreamSummary(source.name)
        self.watcher.start(source)
        try:
            self._run_stream(source, summary, stop)
        except StreamdynError as error:
            summary.error = str(error)
        except BaseException:
            stop.set()  # a crash, not a bad stream: the others end as well
            raise
        finally:
            summary.damage = source.report.damage
            summary.dropped = source.report.dropped
            self.watcher.finish(summary)

    def _run_stream(self, source: Source, summary: StreamSummary, stop: threading.Event) -> None:
        folder = self.folder / source.name
        _make_folder(folder)
        pipeline = Pipeline(self.model, self.make_policy())
        sheet = ContactSheet() if self.picture else None
        with ExitStack() as stack:
            sinks = [stack.enter_context(open_sink(kind, folder)) for kind in self.save]
            if sheet:
                stack.callback(sheet.write, folder / PICTURE)
            for frame, prediction in pipeline.pairs(source):
                start = perf_counter()
                for sink in sinks:
                    sink(prediction, frame)
                if sheet:
                    sheet(prediction, frame)
                summary.add(prediction, perf_counter() - start)
                self.watcher.update(prediction)
                if stop.is_set():
                    break

    def _write_summaries(self, summaries: Iterable[StreamSummary]) -> None:
        table = {"streams": [summary.to_dict() for summary in summaries]}
        _make_folder(self.folder)
        path = self.folder / SUMMARY
        try:
            path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise SinkError(f"cannot write {path}: {error.strerror}") from None


def _wait(futures: Sequence[Future[None]]) -> None:
    """Wait for all, in steps, so that the main thread hears of Ctrl-C; raise what one raised."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make the folder {folder}: {error.strerror}") from None
