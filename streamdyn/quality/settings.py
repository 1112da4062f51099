"""What a user may ask of the quality of a stream."""

from __future__ import annotations

import importlib
import inspect
import math
from dataclasses import dataclass

from streamdyn.errors import PolicyError
from streamdyn.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good, how fresh and how dear the results of a stream may be.

    Raises:
        ValueError: a number is out of its range.
    """

    target: float | None = None
    """Mean agreement with the dense model over all frames, as `streamdyn.metrics.agreement` has
    it. Now and then a frame is also computed whole (an audit), and the policy's threshold moved.
    Where to skip frames in time comes cheaper than the policy, that is done, with `warp`."""

    audit_cost: float = 0.05
    """Fraction of the frames that may be audited."""

    refresh_seconds: float | None = None
    """No part of a result is older than this, in seconds of the stream."""

    guard: bool = True
    """Whether to compute frames whole where masks cost more time than that."""

    warp: bool = False
    """Whether to move the labels of a segmentation along with the picture on skipped frames."""

    seed: int = 0
    """Of the choice of the frames that are audited."""

    def __post_init__(self) -> None:
        if self.target is not None and not 0 < self.target < 1:
            raise ValueError(f"a target of agreement lies between 0 and 1, got {self.target}")
        if not 0 < self.audit_cost <= 1:
            raise ValueError(f"the cost of audits lies above 0, up to 1, got {self.audit_cost}")
        seconds = self.refresh_seconds
        if seconds is not None and not 0 <= seconds < math.inf:
            raise ValueError(f"results can be refreshed every 0 s or more, got {seconds}")

    def require_threshold(self, policy: Policy) -> None:
        """Raise PolicyError for a policy that cannot be moved to the target."""
        if self.target is None or policy.threshold:
            return
        name = type(policy).__name__.lstrip("_")
        what = "no threshold" if policy.threshold is None else "a threshold of 0"
        raise PolicyError(
            f"policy {name} has {what}, and a target of agreement needs one above 0 to move; "
            f"{', '.join(_with_threshold())} have one"
        )


def _with_threshold() -> list[str]:
    """The policies that ship with streamdyn and have a threshold."""
    policies = importlib.import_module("streamdyn.policies")
    names = []
    for name in policies.__all__:
        make = getattr(policies, name)
        required = [p for p in inspect.signature(make).parameters.values() if p.default is p.empty]
        if not required and make().threshold is not None:
            names.append(name)
    return names
