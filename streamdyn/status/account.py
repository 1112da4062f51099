"""What became of the frames of a stream: nothing is lost, and nothing counted twice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """How many frames of a stream came to which end.

    A frame is entered when it has come to its end, so that at every moment what was captured is
    the sum of all ends.
    """

    computed: int = 0  # their result is new, at least in part
    reused: int = 0  # they carry the result of an older frame
    dropped: int = 0  # live only: a newer frame took their place
    failed: int = 0  # they were taken, and what should have computed them broke

    @property
    def captured(self) -> int:
        """Frames that the source gave."""
        return self.computed + self.reused + self.dropped + self.failed

    def __add__(self, other: Account) -> Account:
        return Account(
            self.computed + other.computed,
            self.reused + other.reused,
            self.dropped + other.dropped,
            self.failed + other.failed,
        )
