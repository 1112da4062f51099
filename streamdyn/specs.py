"""What to run, as plain values that can be sent to other processes, which then build it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal

from streamdyn.defaults import MODEL, POLICY, POLICY_TIMEOUT_SECONDS
from streamdyn.errors import redact

if TYPE_CHECKING:
    from streamdyn.models.vision import VisionModel
    from streamdyn.policy import Policy
    from streamdyn.quality import Quality
    from streamdyn.sources import Source
    from streamdyn.sources.base import Transport
    from streamdyn.sources.resume import Resume


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model, and how it is loaded; see `load_model`. Equal ones can share one loaded model."""

    spec: str = MODEL
    card: str | None = None
    size: tuple[int, int] | None = None  # (height, width)
    block: int = 32
    dtype: Literal["float32", "bfloat16"] = "float32"
    propagation: Literal["copy"] | float = "copy"
    device: str = "cpu"

    def load(self, threads: int | None = None) -> VisionModel:
        """Load the model.

        Raises:
            ModelError: there is no such model or device, or the model or its card cannot be used.
        """
        from streamdyn.models import load_model

        return load_model(
            self.spec,
            card=self.card,
            size=self.size,
            block=self.block,
            threads=threads,
            dtype=self.dtype,
            propagation=self.propagation,
            device=self.device,
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StreamSpec:
    """A stream: where its frames come from, what is computed of them, and where results go."""

    name: str  # fit to name a folder
    source: str  # as `open_source` takes it; may hold credentials, which `repr` does not show
    live: bool | None = None
    fps: float | None = None
    stride: int = 1
    max_fps: float | None = None
    transport: Transport | None = None  # of an RTSP source; others have none
    timeout_seconds: float = 10.0
    threads: int | None = None  # of the decoder
    policy: str = POLICY
    policy_timeout_seconds: float = POLICY_TIMEOUT_SECONDS
    model: ModelSpec = ModelSpec()
    quality: Quality | None = None
    save: tuple[str, ...] = ("jsonl",)  # kinds of files, or URLs

    def open(self, policy: Policy | None = None, resume: Resume | None = None) -> Source:
        """Open the source, so that it gives what a policy reads.

        Args:
            policy: the stream's own; None: one is made to be asked.
            resume: the frame after which to go on; see `open_source`.

        Raises:
            SourceError: nothing is there, or an option does not suit it.
            PolicyError: the policy cannot be built.
        """
        from streamdyn.sources import open_source

        policy = policy or self.make_policy()
        return open_source(
            self.source,
            name=self.name,
            live=self.live,
            fps=self.fps,
            stride=self.stride,
            max_fps=self.max_fps,
            threads=self.threads,
            timeout_seconds=self.timeout_seconds,
            transport=self.transport if self.source.lower().startswith("rtsp") else None,
            resume=resume,
            motion=policy.reads_motion,
            key_frames=policy.only_key_frames and not self._reads_every_frame(),
        )

    def make_policy(self) -> Policy:
        """A new policy, for this stream alone.

        Raises:
            PolicyError: it cannot be built, or not be held at the quality that is asked for.
        """
        from streamdyn.load import load_policy

        policy = load_policy(self.policy)
        if self.quality:
            self.quality.require_threshold(policy)
        return policy

    def _reads_every_frame(self) -> bool:
        """Whether pixels are read that the policy does not ask for."""
        from streamdyn.sinks import wants_frame

        return self.quality is not None or any(map(wants_frame, self.save))

    def __repr__(self) -> str:
        values = (f"{f.name}={redact(repr(getattr(self, f.name)))}" for f in fields(self))
        return f"StreamSpec({', '.join(values)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What Ray keeps free on a node for one process."""

    num_cpus: float | None = None  # None: as the number of threads needs
    num_gpus: float = 0.0  # a fraction shares a GPU
    others: Mapping[str, float] = field(default_factory=dict)  # custom resources, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The processes that decode and compute. None: as suits the machine."""

    workers: int | None = None
    threads: int | None = None  # of each worker
    worker: Resources = Resources()
    decoder: Resources = Resources()
