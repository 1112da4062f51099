"""What audits say of a stream, in words and as JSON."""

from __future__ import annotations

from typing import Any

from streamdyn.summary.agreement import CONFIDENCE, MeanAgreement

TARGET_MARGIN = 0.02  # of agreement, by which a target that counts as reached may be missed


def is_reached(agreement: MeanAgreement, target: float | None) -> bool | None:
    """Whether a target was; None where there is none, or too little was audited to tell."""
    interval = agreement.interval()
    if target is None or interval is None:
        return None
    low, high = interval
    if low < target - TARGET_MARGIN:
        return False if high < target else None
    return True


def to_dict(
    agreement: MeanAgreement, target: float | None, audit_share: float | None, seconds: float
) -> dict[str, Any] | None:
    """What audits found, and their cost; None where there were to be none.

    Args:
        audit_share: see `StreamSummary`.
        seconds: that audits took.
    """
    if target is None and not agreement.audits:
        return None
    return {
        "target": target,
        "reached": is_reached(agreement, target),
        "agreement": agreement.value,
        "interval": agreement.interval(),
        "confidence": CONFIDENCE,
        "audits": agreement.audits,
        "audit_share": audit_share,
        "audit_seconds": seconds,
    }


def note(
    agreement: MeanAgreement,
    target: float | None,
    audit_share: float | None,
    time_share: float | None,
) -> list[str]:
    """The same as a line for people; none where there were to be no audits."""
    if target is None and not agreement.audits:
        return []
    interval = agreement.interval()
    if interval is None:
        asked = "" if target is None else f", target {target:g}"
        return [f"agreement not known, too few frames for an audit{asked}"]
    low, high = interval
    words = {True: "reached", False: "missed", None: "too few audits to tell if reached"}
    asked = "" if target is None else f", target {target:g}: {words[is_reached(agreement, target)]}"
    return [
        f"agreement {agreement.value:.3f} ({CONFIDENCE:.0%} sure: {low:.3f} to {high:.3f})"
        f"{asked}; {agreement.audits} audits: {audit_share or 0:.1%} of "
        f"dense, {time_share or 0:.0%} of the time"
    ]
