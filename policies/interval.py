"""Look at every nth frame."""

from streamdyn import BlockMask, Frame, Policy, StreamState


class Interval(Policy):
    """Compute every `every`-th frame whole and skip the rest."""

    def __init__(self, every: int = 4) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self.every = every

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return state.grid.all() if state.age.max() >= self.every else state.grid.none()
