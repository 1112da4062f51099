"""Pairs of products that are computed piece by piece, while a piece's numbers are in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.matmul import SOURCES, TAPS, TARGETS, is_product
from streamdyn.engine.cpu.places import TARGETS as WRITTEN
from streamdyn.engine.cpu.places import is_addresses

MANY: Final = 1024  # pixels that make enough pieces, each with all channels of both


def chained(calls: Sequence[Call]) -> list[Call]:
    """The same calls, each product that reads, pixel by pixel, what the one before it writes joined
    to that one. What computes the addresses of its rows comes before both.
    """
    found: list[Call] = []
    behind: list[Call] = []  # since the last product
    kept: set[int] = set()  # arrays of addresses that calls compute: of rows that stay in place
    for call in calls:
        if is_addresses(call):
            kept.add(id(call.arguments[WRITTEN]))
        free = found and not (len(found) > 1 and found[-2].joined)  # pairs, no longer chains
        if free and is_product(call) and _continues(found[-1], behind, call, kept):
            product = found.pop()
            found += [*behind, replace(product, joined=MANY), call]
            behind = []
        elif is_product(call):
            found += [*behind, call]
            behind = []
        elif found:
            behind.append(call)
        else:
            found.append(call)
    return found + behind


def _continues(first: Call, between: Sequence[Call], second: Call, kept: set[int]) -> bool:
    """Whether a product can follow another piece by piece."""
    if not is_product(first) or first.count is not second.count:
        return False
    one_tap = second.arguments[TAPS] == 1
    same = second.arguments[SOURCES] is first.arguments[TARGETS]
    stays = id(second.arguments[TARGETS]) in kept  # packed rows may lie where others read as yet
    used = {id(each) for each in first.arguments if isinstance(each, np.ndarray)}
    apart = all(is_addresses(call) and id(call.arguments[WRITTEN]) not in used for call in between)
    return one_tap and same and stays and apart
