"""All or nothing: the two ends between which every policy lies."""

from streamdyn import BlockMask, Frame, Policy, StreamState


class All(Policy):
    """Compute every block of every frame: the dense model, which others are measured against."""

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return state.grid.all()


class First(Policy):
    """Compute nothing after the first frame: the cost of the pipeline itself."""

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return state.grid.none()
