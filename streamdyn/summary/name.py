"""A name in a table: shortened in its middle where the terminal is too narrow for it."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

FEWEST = 11  # characters that are shown in any case


@dataclass(frozen=True, slots=True)
class Name:
    """To print with rich. Names of streams tell one from the other at their beginning and end."""

    text: str

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(len(self.text), FEWEST), len(self.text))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(shorten(self.text, options.max_width), no_wrap=True)


def shorten(text: str, most: int) -> str:
    """At most `most` characters of a text, 3 at least: its beginning, an ellipsis, its end.

    >>> shorten("camera-north-entrance-2", 12)
    'camer…ance-2'
    """
    if len(text) <= most:
        return text
    end = max(most, 3) // 2
    return f"{text[: max(most, 3) - 1 - end]}…{text[-end:]}"
