"""Look at every nth frame."""

from streamdyn import BlockMask, Frame, Policy, StreamState


class Interval(Policy):
    """Compute every `every`-th frame whole and skip the rest."""

    def __init__(self, every: int = 4) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self.every = every
        self.reset()

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        self._frames += 1
        return state.grid.none() if self._frames % self.every else state.grid.all()

    def reset(self) -> None:
        self._frames = 0  # since the first
