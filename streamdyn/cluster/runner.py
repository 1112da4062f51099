"""Streams to files on a Ray cluster: what `streamdyn.runner` does in one process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from streamdyn.cluster.messages import Work
from streamdyn.cluster.supervisor import Supervisor
from streamdyn.defaults import POLICY_TIMEOUT_SECONDS
from streamdyn.output import write_summaries
from streamdyn.progress import Unwatched, Watcher
from streamdyn.quality import Quality
from streamdyn.runner import Interrupted
from streamdyn.sinks import wants_frame
from streamdyn.sources import Source
from streamdyn.specs import EngineSettings, ModelSpec
from streamdyn.status import StatusFile
from streamdyn.summary import StreamSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRunner:
    """Like `Runner`, with a process for each stream, and workers that compute for all of them.

    Args:
        status: a file for the figures of all streams and processes, written once a second.
    """

    model: ModelSpec
    policy: str
    folder: Path
    save: Sequence[str] = ("jsonl",)
    watcher: Watcher = field(default_factory=Unwatched)
    picture: bool = False
    quality: Quality | None = None
    policy_timeout_seconds: float = POLICY_TIMEOUT_SECONDS
    reconnects: bool = False  # whether cameras are never given up
    settings: EngineSettings = field(default_factory=EngineSettings)
    ray_address: str = "local"
    status: Path | None = None

    def run(self, streams: Sequence[Source]) -> list[StreamSummary]:
        """Run all streams to their end; return their summaries, in the order given.

        The summaries also stand in `<folder>/summary.json`, when interrupted as well.

        Raises:
            Interrupted: after everything that was computed has been written.
            StreamdynError: there is no such cluster.
        """
        supervisor = Supervisor(self.settings, self.folder, self.ray_address, streams=len(streams))
        interrupted = False
        try:
            with ExitStack() as stack:
                if self.status:
                    stack.enter_context(StatusFile(self.status, supervisor.status))
                stack.enter_context(supervisor)
                for source in streams:
                    self._add(supervisor, source)
                supervisor.wait()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            summaries = supervisor.summaries
            write_summaries(self.folder, summaries)
            for summary in summaries:
                self.watcher.finish(summary)
        if interrupted:
            raise Interrupted(summaries)
        return summaries

    def _add(self, supervisor: Supervisor, source: Source) -> None:
        work = Work(
            name=source.name,
            source=source,
            policy=self.policy,
            model=self.model,
            quality=self.quality,
            policy_timeout_seconds=self.policy_timeout_seconds,
            reconnects=self.reconnects,
            wants_frames=self.picture or any(map(wants_frame, self.save)),
        )
        self.watcher.start(source)
        supervisor.add_work(
            work, self.save, picture=self.picture, on_prediction=self.watcher.update
        )
