"""BlockCopy: a policy that learns while it runs which blocks are worth computing."""

from .policy import BlockCopy

__all__ = ["BlockCopy"]
