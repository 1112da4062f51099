"""What a stream cost, and how good it was: in memory that does not grow."""

from streamdyn.summary.agreement import MeanAgreement
from streamdyn.summary.histogram import Histogram
from streamdyn.summary.show import table
from streamdyn.summary.stream import STAGES, StreamSummary, total

__all__ = ["STAGES", "Histogram", "MeanAgreement", "StreamSummary", "table", "total"]
