"""What is known and kept of one stream: each frame once, however often it is told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from streamdyn.cluster.messages import Outcome, Report, Tally
from streamdyn.errors import SourceError
from streamdyn.output import Output, SaveTo
from streamdyn.sources.resume import Resume
from streamdyn.status import Account, StreamStatus
from streamdyn.status.window import Window
from streamdyn.summary import StreamSummary
from streamdyn.types import Frame, Prediction


class Recorder:
    """Writes the results of a stream, and counts its frames.

    One decoder after another may tell of a stream. What the next tells again counts once.

    Args:
        folder: for the results.
        save: see `Runner`, as for the picture.
        spool: see `Output`.
        on_prediction: told of each, when it is written.
    """

    def __init__(
        self,
        name: str,
        url: str,
        folder: Path,
        save: Sequence[SaveTo],
        *,
        picture: bool = False,
        spool: Path | None = None,
        on_prediction: Callable[[Prediction], None] | None = None,
    ) -> None:
        self.summary = StreamSummary(name)
        self.summary.source = url
        self._last: Resume | None = None  # the last frame that came to its end
        self.index = -1  # of the last frame that came to its end
        self.live = False  # as its decoders say
        self._output = Output(folder, save, picture, self.summary, spool)
        self._on_prediction = on_prediction
        self._account = Account()
        self._before = Tally()  # of the decoders before this one
        self._tally = Tally()
        self._window = Window()
        self._queue = 0
        self._replaced = False  # the decoder, since the last frame
        self._closed = False
        self._writing = Lock()
        self._lock = Lock()  # figures are read while results are written

    def record(self, report: Report) -> None:
        """Write what is new, unless all is closed.

        Raises:
            SinkError: it cannot be written.
        """
        with self._writing:
            if not self._closed:
                self._record(report)

    def _record(self, report: Report) -> None:
        self.live, self._queue = report.live, report.queue + len(report.outcomes)
        for outcome in report.outcomes:
            if outcome.index > self.index:
                self._enter(outcome)
            self._queue -= 1
        with self._lock:
            self._account += Account(dropped=report.tally.dropped - self._tally.dropped)
            self._tally = report.tally
            self._window.mark(
                monotonic(), self._account, report.tally.decoded, report.tally.seconds
            )

    def replace_decoder(self) -> None:
        """Expect reports of a new decoder. That of a recording knows what was counted before."""
        with self._lock:
            if self.live:
                self._before += self._tally
                # What it had begun went down with it.
                ends = self.results + self._account.failed
                self._account += Account(failed=max(self._before.emitted - ends, 0))
            self._tally, self._queue, self._replaced = Tally(), 0, True

    def close(self, error: str | None = None) -> None:
        """Write what is left.

        Args:
            error: what ended the stream before its end.

        Raises:
            SinkError: it cannot be written.
        """
        with self._writing:
            self._closed, self._queue = True, 0
            self._close(error)

    def _close(self, error: str | None) -> None:
        whole = self._before + self._tally
        self.summary.take_over(whole)
        self.summary.journey.failed = self._account.failed
        self.summary.error = error
        self._output.close()

    def fill(self, status: StreamStatus) -> StreamStatus:
        """The status with the figures of this stream."""
        with self._lock:
            means, whole = self._window.means(), self._before + self._tally
            limits = self._window.limits()
            ranked = sorted(limits, key=limits.__getitem__)
            return replace(
                status,
                account=self._account,
                rates=self._window.rates(),
                density=means.density,
                share=means.share,
                bytes_per_frame=means.bytes_per_frame,
                age_seconds=self._window.ages(),
                queue=self._queue,
                reconnects=whole.reconnects,
                gap_seconds=whole.gap_seconds,
                frames_to_recover=whole.frames_to_recover,
                limit=ranked[-1] if ranked else None,
                limit_shares=limits,
            )

    @property
    def place(self) -> Resume | None:
        """Where a live stream goes on: after all frames that were captured."""
        last = self._last
        return last and replace(last, index=max(self.index, self._account.captured - 1))

    @property
    def results(self) -> int:
        """How many there are so far."""
        return self._account.computed + self._account.reused

    @property
    def load(self) -> float:
        """The share of the last seconds that the engine computed for this stream."""
        with self._lock:
            return self._window.load()

    def _enter(self, outcome: Outcome) -> None:
        prediction, self.index = outcome.prediction, outcome.index
        if prediction is not None:
            self._output(prediction, outcome.frame or _unsent(outcome, prediction))
            if self._on_prediction:
                self._on_prediction(prediction)
        self._follow(Resume(outcome.index, outcome.pts_seconds, outcome.captured_at))
        with self._lock:
            self._account += Account(
                computed=prediction is not None and prediction.status == "computed",
                reused=prediction is not None and prediction.status == "reused",
                failed=prediction is None,
            )
            if prediction is not None:
                age, sent = outcome.age_seconds, outcome.sent_bytes
                self._window.add(monotonic(), prediction, age, sent)
                self.summary.journey.add(age, sent)

    def _follow(self, place: Resume) -> None:
        """Take note of where the stream is, and of what is missing before that."""
        last, self._last = self._last, place
        if self._replaced and last and last.captured_at and place.captured_at:
            self._before.gap_seconds += max(place.captured_at - last.captured_at, 0.0)
        self._replaced = False


class _Unsent:
    """The pixels of a frame that stayed where it was decoded."""

    def luma(self) -> NoReturn:
        raise SourceError("the picture stayed where it was decoded, for no sink wants it")

    def image(self) -> NoReturn:
        self.luma()

    def motion(self) -> NoReturn:
        self.luma()

    def patches(self, corners: NDArray[np.intp], size: tuple[int, int]) -> NoReturn:
        self.luma()


def _unsent(outcome: Outcome, prediction: Prediction) -> Frame:
    """The frame, for sinks that read no pixels."""
    return Frame(
        _Unsent(),
        index=prediction.index,
        pts_seconds=prediction.pts_seconds,
        size=outcome.size,
        stream=prediction.stream,
        captured_at=outcome.captured_at,
    )
