"""The arguments that say how good results must be, and what they stand for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from streamdyn.defaults import POLICY_TIMEOUT_SECONDS
from streamdyn.parsing import argument, parse_fraction, parse_number

if TYPE_CHECKING:
    from streamdyn.quality import Quality


def add_quality_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target-agreement",
        type=argument(parse_fraction),
        metavar="A",
        help="mean agreement with computing everything, such as 0.97: the policy's threshold is "
        "moved to reach it",
    )
    parser.add_argument(
        "--audit-cost",
        type=argument(parse_fraction),
        metavar="SHARE",
        default=0.05,
        help="frames that may be computed whole to measure that agreement (default: %(default)s)",
    )
    parser.add_argument(
        "--refresh-seconds",
        type=argument(_seconds),
        metavar="S",
        help="no part of a result is older than this, in seconds of the stream",
    )
    parser.add_argument(
        "--warp",
        action="store_true",
        help="move the labels of a segmentation along with the picture on skipped frames, as a "
        "target of agreement does by itself",
    )
    parser.add_argument(
        "--policy-timeout",
        type=argument(_seconds),
        metavar="S",
        default=POLICY_TIMEOUT_SECONDS,
        help="seconds before a policy of yours that does not answer is given up (%(default)s)",
    )


def quality_of(options: argparse.Namespace) -> Quality | None:
    """The quality that the options ask for; None: they ask for none."""
    from streamdyn.quality import Quality

    asked = (options.target_agreement, options.refresh_seconds, options.warp or None)
    if asked == (None, None, None):
        return None
    return Quality(
        target=options.target_agreement,
        audit_cost=options.audit_cost,
        refresh_seconds=options.refresh_seconds,
        warp=options.warp,
    )


def _seconds(text: str) -> float:
    number = parse_number(text)
    if not 0 < number <= 1e6:
        raise ValueError(f"{text!r} is not a number of seconds above 0")
    return number
