"""Streams to files: source -> pipeline -> sinks, with a summary and a picture of each stream."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from streamdyn.errors import SourceError, StreamdynError
from streamdyn.output import Output, SaveTo, write_summaries
from streamdyn.pipeline import POLICY_TIMEOUT_SECONDS, Model, Pipeline
from streamdyn.policy import Policy
from streamdyn.progress import Unwatched, Watcher
from streamdyn.quality import Quality
from streamdyn.sources import Source
from streamdyn.summary import StreamSummary

PROBES = 32  # sources that are asked at once whether they are live


class Interrupted(KeyboardInterrupt):
    """A run was stopped by Ctrl-C or SIGTERM. What was computed until then has been written."""

    def __init__(self, summaries: list[StreamSummary]) -> None:
        super().__init__("the run was interrupted")
        self.summaries = summaries


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs streams through one model and writes what it says of them to a folder.

    Live sources run all at once, each in a thread of its own; files one after the other, in one
    more. Each stream gets its own policy and a folder `<folder>/<stream>/`, from which the results
    of a former run are removed; what happens to one stream does not touch the others.
    """

    model: Model
    make_policy: Callable[[], Policy]
    folder: Path
    save: Sequence[SaveTo] = ("jsonl",)
    watcher: Watcher = field(default_factory=Unwatched)
    picture: bool = False  # whether to draw `overview.png` for each stream
    quality: Quality | None = None  # what to hold each stream at
    policy_timeout_seconds: float = POLICY_TIMEOUT_SECONDS

    def run(self, streams: Sequence[Source]) -> list[StreamSummary]:
        """Run all streams to their end; return their summaries, in the order given.

        The summaries also stand in `<folder>/summary.json`, when interrupted as well.

        Raises:
            Interrupted: after everything that was computed has been written.
        """
        stop = threading.Event()
        summaries: dict[str, StreamSummary] = {}
        interrupted = False
        lanes = _lanes(streams)
        with ThreadPoolExecutor(max_workers=max(len(lanes), 1)) as pool:
            futures = [pool.submit(self._run_lane, lane, stop, summaries) for lane in lanes]
            try:
                _wait(futures)
            except KeyboardInterrupt:
                interrupted = True
            finally:
                stop.set()
                if not all(future.done() for future in futures):
                    for stream in streams:
                        stream.stop()  # it may be waiting for a camera
                wait(futures)
                done = [summaries[s.name] for s in streams if s.name in summaries]
                write_summaries(self.folder, done)
        if interrupted:
            raise Interrupted(done)
        return done

    def _run_lane(
        self, lane: Sequence[Source], stop: threading.Event, summaries: dict[str, StreamSummary]
    ) -> None:
        for source in lane:
            if stop.is_set():
                return
            summary = summaries[source.name] = StreamSummary(source.name)
            summary.source = source.url
            self._run(source, summary, stop)

    def _run(self, source: Source, summary: StreamSummary, stop: threading.Event) -> None:
        try:
            self.watcher.start(source)
            self._run_stream(source, summary, stop)
        except StreamdynError as error:
            summary.error = str(error)
        except BaseException as error:
            summary.error = f"{type(error).__name__}: {error}"
            stop.set()  # a crash, not a bad stream: the others end as well
            raise
        finally:
            summary.take_over(source.report)
            # A frame that came, and has no prediction, is the one at which the stream ended.
            summary.journey.failed = source.report.emitted - summary.frames
            self.watcher.finish(summary)

    def _run_stream(self, source: Source, summary: StreamSummary, stop: threading.Event) -> None:
        summary.target = self.quality.target if self.quality else None
        pipeline = Pipeline(
            self.model,
            self.make_policy(),
            quality=self.quality,
            policy_timeout_seconds=self.policy_timeout_seconds,
        )
        with Output(self.folder / source.name, self.save, self.picture, summary) as output:
            for frame, prediction in pipeline.pairs(source):
                output(prediction, frame)
                self.watcher.update(prediction)
                if stop.is_set():
                    break


def _lanes(streams: Sequence[Source]) -> list[list[Source]]:
    """What runs side by side: each live stream by itself, and all files together."""
    with ThreadPoolExecutor(max_workers=PROBES) as pool:
        live = list(pool.map(_is_live, streams))
    lanes = [[stream] for stream, alone in zip(streams, live, strict=True) if alone]
    files = [stream for stream, alone in zip(streams, live, strict=True) if not alone]
    return [*lanes, files] if files else lanes


def _is_live(stream: Source) -> bool:
    try:
        return stream.live
    except SourceError:
        return True  # running it will fail, and tell why; until then it should hold up nobody


def _wait(futures: Sequence[Future[None]]) -> None:
    """Wait for all, in steps, so that the main thread hears of Ctrl-C; raise what one raised."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
