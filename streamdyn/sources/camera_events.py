"""What a camera tells of itself while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streamdyn.errors import Cause
from streamdyn.sources.report import SourceReport

# "failed": waiting cannot mend it, as a wrong password; it is still tried, at the longest wait.
CameraState = Literal["connecting", "running", "reconnecting", "failed", "ended"]


@dataclass(frozen=True, slots=True)
class CameraEvent:
    """A camera changed its state."""

    at: float  # as time.time()
    state: CameraState
    attempt: int = 0  # failed ones in a row, before this
    cause: Cause | None = None
    message: str = ""  # without credentials
    wait_seconds: float | None = None  # until it is tried again
    frames_to_recover: int | None = None  # decoded after a reconnect, before the first handed out


@dataclass(slots=True)
class CameraReport(SourceReport):
    """The sums over all connections of a pass."""

    reconnects: int = 0  # that gave a frame
    gap_seconds: float = 0.0  # without frames, until each of these
    frames_to_recover: int | None = None  # of the last one; see `CameraEvent`
    event: CameraEvent | None = None  # the last one

    @property
    def state(self) -> CameraState:
        """As the last event says."""
        return self.event.state if self.event else "connecting"
