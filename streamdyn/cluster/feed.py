"""One stream: frames in, outcomes out; the engine is somewhere else."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from threading import Event as Flag
from time import perf_counter, time

from streamdyn.cluster.course import Course
from streamdyn.cluster.link import Connection, Link
from streamdyn.cluster.messages import Checkpoint, EngineLostError, Outcome, Tally, Work
from streamdyn.cluster.outbox import Outbox
from streamdyn.errors import SourceError, StreamdynError
from streamdyn.load import load_policy
from streamdyn.sources import Source
from streamdyn.sources.camera import reconnecting
from streamdyn.sources.camera_events import CameraEvent
from streamdyn.status import Event, Limit, StreamState
from streamdyn.types import Frame

log = logging.getLogger(__name__)


class Feed:
    """Runs one stream through its policy and an engine.

    A recording whose engine is lost is taken up again from its last checkpoint: the outcomes since
    then come twice, and are the same. A live stream goes on with what it shows by then.

    Args:
        checkpoint: where to take a recording up again.
    """

    def __init__(
        self,
        work: Work,
        connection: Connection,
        outbox: Outbox,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._work = work
        self._connection = connection
        self._outbox = outbox
        self._checkpoint = checkpoint
        self.live = False  # known once it runs
        self._source = work.source
        self._so_far = Tally()  # without the frame that was read last
        self._stop = Flag()

    def stop(self) -> None:
        """End after the frame that is being computed."""
        self._stop.set()
        self._source.stop()

    @property
    def queue(self) -> int:
        """Frames that came and are not in the outbox yet."""
        return self._outbox.busy + self._source.report.waiting

    @property
    def stuck(self) -> bool:
        """Whether a decoder hangs in this process, which only ends with it."""
        return self._source.stuck

    def run(self) -> None:
        """Run the stream to its end; the outbox says how that came."""
        error = None
        try:
            self._run()
        except StreamdynError as reason:
            error = str(reason)
        except Exception as reason:  # of the code: it must not look like a stream that hangs
            log.exception("stream %s broke", self._work.name)
            error = f"the stream broke: {type(reason).__name__}: {reason}"
        finally:
            self._connection.close()
            self._outbox.end(error)

    def _run(self) -> None:
        logits = load_policy(self._work.policy).reads_logits
        with self._outbox.doing("opening"):
            self.live = _is_live(self._work.source)
        if self.live and self._work.reconnects:
            self._source = reconnecting(self._work.source, on_event=self._tell)
        if self._stop.is_set():  # perhaps another source was told
            self._source.stop()
        course = Course(self._work, Link(self._connection, logits=logits), live=self.live)
        while not self._pass(course):
            self._connection.renew(self._stop)

    def _pass(self, course: Course) -> bool:
        """Run from the checkpoint on, if there is one; return whether the stream is at its end."""
        course.restart(self._checkpoint)
        with closing(self._frames()) as frames:
            for frame, seconds in frames:
                try:
                    self._take(course, frame, seconds)
                except EngineLostError:
                    if not self.live:
                        return self._stop.is_set()
                    self._outbox.put(_failed(frame))
                    course.restart()
                    self._connection.renew(self._stop)
                if self._stop.is_set():
                    break
        return True

    def _frames(self) -> Generator[tuple[Frame, float]]:
        """The frames, and the seconds that it took to get each."""
        point = self._checkpoint
        if point is not None:
            self._source = self._work.source.resumed(point.after)
        source, outbox = self._source, self._outbox
        outbox.begin(point.tally if point else Tally())
        stage: Limit = "source" if self.live else "decode"
        try:
            with closing(iter(source)) as frames:
                while True:
                    start = perf_counter()
                    with outbox.doing("reading"):
                        frame = next(frames, None)
                    seconds = perf_counter() - start
                    outbox.wait(stage, seconds)
                    self._so_far = outbox.tally.copy()
                    outbox.count(source.report)
                    if frame is None:
                        return
                    yield frame, seconds
        finally:
            outbox.count(source.report)  # a frame that waited when it was closed was dropped

    def _take(self, course: Course, frame: Frame, decode_seconds: float) -> None:
        """Bring a frame to its end."""
        captured_at = frame.captured_at or time()
        with self._outbox.doing("computing"):
            prediction, spent = course.take(frame, decode_seconds)
        if (point := course.take_checkpoint()) is not None:
            self._checkpoint = replace(point, tally=self._so_far)
            self._outbox.keep(self._checkpoint)
        outcome = Outcome(
            frame.index,
            frame.pts_seconds,
            prediction,
            _portable(frame) if self._work.wants_frames else None,
            frame.size,
            frame.captured_at,
            age_seconds=time() - captured_at,
            sent_bytes=spent.sent_bytes,
        )
        with self._outbox.doing("delivering"):
            self._outbox.put(outcome)
        self._outbox.spend(spent)
        with self._outbox.doing("computing"):
            course.audit(frame, prediction)

    def _tell(self, event: CameraEvent) -> None:
        """Pass on what happens to a camera. One that seems hopeless is tried on as well."""
        if event.state == "ended":  # the outbox says so, with the last outcomes
            return
        state: StreamState = "reconnecting" if event.state == "failed" else event.state
        self._outbox.tell(Event(event.at, state, event.cause, event.message))


def _is_live(source: Source) -> bool:
    try:
        return source.live
    except SourceError:
        return True  # it cannot be asked: a camera that is off


def _failed(frame: Frame) -> Outcome:
    return Outcome(
        frame.index, frame.pts_seconds, None, size=frame.size, captured_at=frame.captured_at
    )


def _portable(frame: Frame) -> Frame:
    """The same, without the decoder's memory."""
    return Frame.from_image(
        frame.image, index=frame.index, pts_seconds=frame.pts_seconds, stream=frame.stream
    )
