"""Values that people write, on the command line as in files. What is wrong is a ValueError."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")


def parse_size(text: str) -> tuple[int, int]:
    """Read HEIGHTxWIDTH."""
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ValueError(f"{text!r} is not HEIGHTxWIDTH, such as 448x768")
    return int(height), int(width)


def parse_propagation(text: str) -> Literal["copy"] | float:
    """Read "copy", "exact" or a tolerance."""
    if text in ("copy", "exact"):
        return "copy" if text == "copy" else 0.0
    tolerance = parse_number(text, "not copy, exact or a tolerance from 0 on")
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"{text!r} is not copy, exact or a tolerance from 0 on")
    return tolerance


def parse_fraction(text: str) -> float:
    """Read a number between 0 and 1."""
    number = parse_number(text)
    if not 0 < number < 1:
        raise ValueError(f"{text!r} does not lie between 0 and 1")
    return number


def parse_number(text: str, otherwise: str = "not a number") -> float:
    """Read a number.

    Args:
        otherwise: what to say of anything else.
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is {otherwise}") from None


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A reader of values, for argparse: it shows the text of no other error than its own."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
