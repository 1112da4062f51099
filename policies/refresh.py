"""A bound on how old anything may be."""

from streamdyn import BlockMask, Frame, Policy, StreamState


class Refresh(Policy):
    """Compute the blocks that would be older than `seconds`: nothing in a result ever is.

    Use it beside a policy that looks at the picture: `Change() | Refresh(seconds=2)`. Blocks that
    were computed together are due together; `| Age(share=0.02)` spreads them.
    """

    def __init__(self, seconds: float = 2.0) -> None:
        if not seconds >= 0:
            raise ValueError(f"seconds must not be negative, got {seconds}")
        self.seconds = seconds

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return BlockMask(state.grid, frame.pts_seconds - state.computed_at > self.seconds)
