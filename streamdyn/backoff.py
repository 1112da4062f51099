"""How long to wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from streamdyn.errors import StreamdynError

_MOST_DOUBLINGS = 60  # every cap is reached then


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double until `cap_seconds`, each shortened by chance, so that many who lost
    the same server at once do not come back at once.

    Raises:
        StreamdynError: a value that makes no sense.
    """

    first_seconds: float = 0.5
    cap_seconds: float = 30.0
    jitter: float = 0.5  # the largest part of a wait that chance takes away, in [0, 1]

    def __post_init__(self) -> None:
        if not 0 < self.first_seconds <= self.cap_seconds:
            raise StreamdynError(
                "a backoff begins with more than 0 s and at most its cap, got "
                f"{self.first_seconds} and {self.cap_seconds}"
            )
        if not 0 <= self.jitter <= 1:
            raise StreamdynError(f"the jitter of a backoff is a part, 0 to 1, got {self.jitter}")

    def seconds(self, attempt: int | None, chance: Random) -> float:
        """How long to wait after so many failed attempts in a row, from 1; None: the longest."""
        doublings = _MOST_DOUBLINGS if attempt is None else min(attempt - 1, _MOST_DOUBLINGS)
        longest = min(self.first_seconds * 2.0**doublings, self.cap_seconds)
        return longest * (1 - self.jitter * chance.random())
