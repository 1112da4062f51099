"""A run that is over: its results, and the frames that they are of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streamdyn.errors import SourceError
from streamdyn.records import read_decisions, read_results
from streamdyn.sources import Source, open_source
from streamdyn.types import Frame, Prediction
from streamdyn.view.survey import Survey

SUMMARY = "summary.json"  # of a run, in the folder above those of its streams
_SAME_SECONDS = 1e-3  # that the time of a frame may differ by, from decoder to decoder


@dataclass(frozen=True, slots=True)
class Run:
    """The results of one stream, and its source."""

    results: Path
    source: Source
    survey: Survey

    @classmethod
    def open(
        cls, results: str | Path, source: str | None = None, *, fps: float | None = None
    ) -> Run:
        """Read which blocks were computed, and open the source.

        Args:
            source: what to open; None: what the summary of the run names.
            fps: rate of an image sequence, as the run was told.

        Raises:
            SinkError: the results cannot be read, or have no masks.
            SourceError: there is no such source, or the results do not name it.
        """
        path = Path(results)
        survey = Survey(read_decisions(path))
        opened = open_source(source, fps=fps) if source else _open_named(path, survey.stream, fps)
        if len(opened.streams) > 1:
            names = ", ".join(stream.url for stream in opened.streams)
            raise SourceError(f"{path} is of one stream, and --source has several: {names}")
        if opened.live:
            raise SourceError(
                f"{opened.url} is live, and its frames are gone; record it, run on the recording, "
                "or give that with --source"
            )
        return cls(path, opened.streams[0], survey)

    def pairs(self) -> Iterator[tuple[Frame, Prediction]]:
        """Each frame that has a prediction, with it.

        Raises:
            SourceError: the source has no frame where the results have one.
        """
        return _matched(self.source, read_results(self.results), self.results)


def _open_named(results: Path, stream: str, fps: float | None) -> Source:
    """Open the source that the summary of the run names."""
    source = _named_source(results, stream)
    if source is None:
        raise SourceError(
            f"{results} does not say which video it is of; give it with --source VIDEO"
        )
    if "***" in source:
        raise SourceError(
            f"{results} is of {source}, whose password is not kept; give it with --source"
        )
    try:
        return open_source(source, fps=fps)
    except SourceError as error:
        raise SourceError(
            f"{results} is of {source}, seen from the folder of the run: {error}; give the video "
            "with --source VIDEO"
        ) from None


def _named_source(results: Path, stream: str) -> str | None:
    """The source of a stream, by the summary that lies above its folder; None: it names none."""
    folder = results if results.is_dir() else results.parent
    for summary in (folder.parent / SUMMARY, folder / SUMMARY):
        with suppress(OSError, ValueError, LookupError, TypeError):  # not there, or not of a run
            streams = json.loads(summary.read_text(encoding="utf-8"))["streams"]
            named = [entry["source"] for entry in streams if entry["stream"] == stream]
            if named and named[0]:
                return str(named[0])
    return None


def _matched(
    frames: Iterable[Frame], predictions: Iterable[Prediction], results: Path
) -> Iterator[tuple[Frame, Prediction]]:
    """Pair by time: a run may have read a part of the frames."""
    waiting = iter(frames)
    for prediction in predictions:
        due = prediction.pts_seconds
        frame = next((f for f in waiting if f.pts_seconds > due - _SAME_SECONDS), None)
        if frame is None or frame.pts_seconds > due + _SAME_SECONDS:
            raise SourceError(
                f"{results} has frame {prediction.index} at {due:.3f} s, where the source has "
                "none: it is another video; give the one of the run with --source"
            )
        yield frame, prediction
