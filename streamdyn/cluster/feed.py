"""One stream: frames in, outcomes out; the engine is somewhere else."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from threading import Event as Flag
from time import perf_counter, time

from streamdyn.cluster.course import Course
from streamdyn.cluster.link import Connection
from streamdyn.cluster.messages import Checkpoint, EngineLostError, Outcome, Tally, Work
from streamdyn.cluster.outbox import Outbox
from streamdyn.errors import SourceError, StreamdynError, redact
from streamdyn.load import names_own_code
from streamdyn.progress import event_of
from streamdyn.sources import Source
from streamdyn.sources.camera import reconnecting
from streamdyn.sources.camera_events import CameraEvent
from streamdyn.status import Event, Limit
from streamdyn.types import Frame, Prediction

log = logging.getLogger(__name__)

# Frames of a live stream that the engine may fail at in a row. What passes, such as a graphics
# card whose memory is full, is over by then; what stays is told soon.
MOST_FAILURES = 5


class Feed:
    """Runs one stream through its policy and an engine.

    A recording whose engine is lost is taken up again from its last checkpoint: the outcomes since
    then come twice, and are the same. A live stream goes on with what it shows by then, also when
    the engine fails at a frame.

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
        self._failures = 0  # of the engine, at frames in a row
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

    @property
    def leaves_traces(self) -> bool:
        """Whether the process is no longer as it was: a thread of it hangs, or it has loaded code
        of the user, who may change that."""
        return not self._source.ended or names_own_code(self._work.policy)

    def run(self) -> None:
        """Run the stream to its end; the outbox says how that came."""
        error = None
        try:
            self._run()
        except StreamdynError as reason:
            error = str(reason)
        except Exception as reason:  # of the code: it must not look like a stream that hangs
            log.exception("stream %s broke", self._work.name)
            error = redact(f"the stream broke: {type(reason).__name__}: {reason}")
        finally:
            self._connection.close()
            self._outbox.end(error)

    def _run(self) -> None:
        with self._outbox.doing("opening"):
            # A server that is off can make a recording look like a camera; a checkpoint knows.
            self.live = self._checkpoint is None and _is_live(self._work.source)
        if self.live and self._work.reconnects:
            self._source = reconnecting(self._work.source, on_event=self._tell)
        if self._stop.is_set():  # perhaps another source was told
            self._source.stop()
        while not self._pass():
            self._connection.renew(self._stop)

    def _pass(self) -> bool:
        """Run from the checkpoint on, if there is one; return whether the stream is at its end."""
        course = Course(self._work, self._connection, live=self.live)
        if self._checkpoint and not course.resume(self._checkpoint):
            self._checkpoint = None
        with closing(self._frames()) as frames:
            for frame, seconds in frames:
                try:
                    self._take(course, frame, seconds)
                    self._note_success()
                except EngineLostError:
                    if not self.live:
                        return self._stop.is_set()
                    self._skip(course)
                except StreamdynError as error:
                    self._failures += 1
                    if not self.live or self._failures == MOST_FAILURES:
                        raise
                    self._outbox.tell(Event(time(), "running", "engine failed", str(error)))
                    self._skip(course)
                if self._stop.is_set():
                    break
        return True

    def _note_success(self) -> None:
        if self._failures:
            self._failures = 0
            self._outbox.tell(Event(time(), "running"))

    def _skip(self, course: Course) -> None:
        """Go on with the next frame after one that the engine failed at."""
        course.begin_anew()
        self._connection.renew(self._stop)

    def _frames(self) -> Generator[tuple[Frame, float]]:
        """The frames, and the seconds that it took to get each."""
        point = self._checkpoint
        if not self.live:
            source = self._work.source
            self._source = source.resumed(point.after) if point else source
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
        try:
            with self._outbox.doing("computing"):
                prediction, spent = course.take(frame, decode_seconds)
        except (EngineLostError, StreamdynError) as error:
            comes_again = isinstance(error, EngineLostError) and not self.live
            if not comes_again or self._stop.is_set():
                self._outbox.put(self._outcome(frame, None))
            raise
        if (point := course.take_checkpoint()) is not None:
            self._checkpoint = replace(point, tally=self._so_far)
            self._outbox.keep(self._checkpoint)
        outcome = self._outcome(frame, prediction)
        outcome = replace(outcome, age_seconds=time() - captured_at, sent_bytes=spent.sent_bytes)
        with self._outbox.doing("delivering"):
            self._outbox.put(outcome)
        self._outbox.spend(spent)
        with self._outbox.doing("computing"):
            course.audit(frame, prediction)

    def _outcome(self, frame: Frame, prediction: Prediction | None) -> Outcome:
        """What became of a frame; without a prediction it failed."""
        wanted = self._work.wants_frames and prediction is not None
        return Outcome(
            frame.index,
            frame.pts_seconds,
            prediction,
            _portable(frame) if wanted else None,
            frame.size,
            frame.captured_at,
        )

    def _tell(self, event: CameraEvent) -> None:
        """Pass on what happens to a camera."""
        if event.state != "ended":  # the outbox says so, with the last outcomes
            self._outbox.tell(event_of(event))


def _is_live(source: Source) -> bool:
    try:
        return source.live
    except SourceError:
        return True  # it cannot be asked: a camera that is off


def _portable(frame: Frame) -> Frame:
    """The same, without the decoder's memory."""
    image, index, seconds = frame.image, frame.index, frame.pts_seconds
    copy = Frame.from_image(image, index=index, pts_seconds=seconds, stream=frame.stream)
    copy.captured_at = frame.captured_at
    copy.key_frame = frame.key_frame
    return copy
