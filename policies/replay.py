"""Decide as it was decided before."""

from streamdyn import BlockMask, Frame, Policy, StreamState
from streamdyn.records import read_decisions

_SAME_SECONDS = 5e-4  # that two times of one frame may differ by


class Replay(Policy):
    """Compute what a former run computed, frame by frame, by its saved results.

    So a model, an engine setting or a machine is compared with another on the same decisions. The
    stream and the blocks must be those of the former run: a frame that is not among its results, or
    differs in time or in its blocks, is refused, and therefore computed whole and reported.

    Args:
        results: the file that `run` saved, JSON lines or Parquet, or the folder of its stream.

    Raises:
        SinkError: it cannot be read, or does not say which blocks were computed.
        ValueError: it holds no frame.
    """

    def __init__(self, results: str) -> None:
        self.results = results
        self._decisions = {decision.index: decision for decision in read_decisions(results)}
        if not self._decisions:
            raise ValueError(f"{results} holds no frame")

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        recorded = self._decisions.get(frame.index)
        if recorded is None:
            raise ValueError(f"{self.results} has no frame {frame.index}")
        if recorded.stream != frame.stream:
            raise ValueError(f"{self.results} is of {recorded.stream!r}, not of {frame.stream!r}")
        if abs(recorded.pts_seconds - frame.pts_seconds) > _SAME_SECONDS:
            raise ValueError(
                f"{self.results} has frame {frame.index} at {recorded.pts_seconds:.3f} s, this "
                f"stream at {frame.pts_seconds:.3f} s: it is another one, or another part of it"
            )
        if recorded.mask.grid != state.grid:
            raise ValueError(f"{self.results} has {recorded.mask.grid}, the model {state.grid}")
        return recorded.mask
