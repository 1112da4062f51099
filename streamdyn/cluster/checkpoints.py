"""The state of a stream as bytes, and back. What cannot travel costs a start from the beginning."""

from __future__ import annotations

import logging
import pickle

from streamdyn.pipeline import Stream

log = logging.getLogger(__name__)


def packed(name: str, stream: Stream) -> bytes | None:
    """The state of a stream; None if its policy cannot be pickled, which is told."""
    try:
        return pickle.dumps(stream, protocol=5)
    except Exception as error:  # each type raises its own kind
        policy = type(stream.policy).__name__
        log.warning(
            "%s: policy %s cannot be pickled (%s): if a process is lost, the stream is computed "
            "again from its beginning",
            name,
            policy,
            error,
        )
        return None


def unpacked(name: str, state: bytes) -> Stream | None:
    """The stream again; None if its policy cannot be unpickled, which is told."""
    try:
        stream: Stream = pickle.loads(state)
    except Exception as error:
        log.warning(
            "%s: its policy cannot be unpickled (%s: %s): the stream is computed again from its "
            "beginning",
            name,
            type(error).__name__,
            error,
        )
        return None
    return stream
