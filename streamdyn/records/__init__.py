"""Predictions as plain records, and back: what the result files hold."""

from streamdyn.records.decisions import Decision, read_decisions
from streamdyn.records.interop import to_supervision
from streamdyn.records.read import RESULT_FILES, load_results, read_results
from streamdyn.records.record import frame_fields, from_record, result_fields, to_record
from streamdyn.records.rle import from_rle, to_rle
from streamdyn.records.truth import load_truth

__all__ = [
    "RESULT_FILES",
    "Decision",
    "frame_fields",
    "from_record",
    "from_rle",
    "load_results",
    "load_truth",
    "read_decisions",
    "read_results",
    "result_fields",
    "to_record",
    "to_rle",
    "to_supervision",
]
