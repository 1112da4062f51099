"""What a summary takes over from a source, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


class DamagedRange(Protocol):
    """A stretch of a stream that could not be decoded."""

    @property
    def start_seconds(self) -> float: ...
    @property
    def end_seconds(self) -> float: ...
    @property
    def what(self) -> str: ...


class Counts(Protocol):
    """What a source says of a pass over it."""

    @property
    def decoded(self) -> int: ...
    @property
    def emitted(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def corrupt(self) -> int: ...
    @property
    def damage(self) -> Sequence[DamagedRange]: ...
    @property
    def damage_forgotten(self) -> int: ...


@runtime_checkable
class Reconnected(Protocol):
    """What a source says of its losses, if it may have any."""

    @property
    def reconnects(self) -> int: ...
    @property
    def gap_seconds(self) -> float: ...
    @property
    def frames_to_recover(self) -> int | None: ...
