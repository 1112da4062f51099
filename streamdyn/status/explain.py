"""What limits a stream, in words, and what would help."""

from __future__ import annotations

from streamdyn.status.figures import Limit, StreamStatus

_KEEPS_UP = 0.98  # of the captured frames have their result

# What holds a stream back, and what would help.
_LIMITS: dict[Limit, tuple[str, str]] = {
    "source": ("the source", "it gives no more frames"),
    "decode": ("decoding", "take a smaller picture from the camera, or a stride"),
    "policy": ("the policy", "take a cheaper one"),
    "engine": ("the engine", "lower the density, add a worker"),
    "transfer": ("sending blocks to the engine", "lower the density, bring the worker nearer"),
    "sinks": ("writing results", "save less, or to a faster place"),
}


def explain(stream: StreamStatus) -> str:
    """How fast a stream is, and what keeps it from being faster.

    >>> from streamdyn.status import Account, Rates
    >>> rates = Rates(captured=10, computed=2, reused=5.9, dropped=2.1)
    >>> shares = {"engine": 0.92, "decode": 0.08}
    >>> explain(StreamStatus("cam3", "rtsp://cam3", "running", rates=rates, limit="engine",
    ...     limit_shares=shares))
    'cam3: 7.9 of 10 fps; the engine limits it (92% of its time): lower the density, add a worker'
    """
    return f"{stream.name}: {_story(stream)}"


def _story(stream: StreamStatus) -> str:
    match stream.state:
        case "running" | "draining":
            return _speed(stream)
        case "failed":
            return f"failed, {stream.error or _cause(stream) or 'for a reason that is not known'}"
        case "ended" | "stopped":
            return f"{stream.state} after {_frames(stream)}"
        case "waiting" | "connecting" | "reconnecting":
            cause = _cause(stream)
            return f"{stream.state}{f', {cause}' if cause else ''}; no frames come"


def _speed(stream: StreamStatus) -> str:
    rates = stream.rates
    done = rates.computed + rates.reused
    if not rates.captured and not done:
        return "no frames yet" if not stream.account.captured else "no frames come"
    behind = done < _KEEPS_UP * rates.captured
    speed = f"{done:.3g} of {rates.captured:.3g} fps" if behind else f"{done:.3g} fps"
    if stream.limit is None:
        return f"{speed}; what limits it is not known yet"
    who, remedy = _LIMITS[stream.limit]
    if stream.limit == "source":
        return f"{speed}; {who} limits it: {remedy}"
    share = stream.limit_shares.get(stream.limit)
    told = "" if share is None else f" ({share:.0%} of its time)"
    return f"{speed}; {who} limits it{told}: {remedy}"


def _cause(stream: StreamStatus) -> str:
    if stream.event is None:
        return ""
    return stream.event.message or stream.event.cause or ""


def _frames(stream: StreamStatus) -> str:
    account = stream.account
    lost = [
        f"{count} {what}"
        for count, what in ((account.dropped, "dropped"), (account.failed, "failed"))
        if count
    ]
    told = f"{account.captured} frames"
    return f"{told}, {' and '.join(lost)}" if lost else told
