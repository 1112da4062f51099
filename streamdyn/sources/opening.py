"""From what the user names to a source: the table of kinds."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from streamdyn.errors import SourceError
from streamdyn.sources.base import Options, Source

_VIDEO = re.compile(
    r".*\.([xh]?26[45]|3gp|asf|avi|flv|gif|hevc|ivf|m2ts|m3u8|m4v|mjpe?g|mkv|mov|mp4|mpe?g|mts|mxf"
    r"|ogv|ts|vob|webm|wmv|y4m)",
    re.IGNORECASE,
)
_IMAGE = re.compile(r".*\.(bmp|jpe?g|p[gp]m|png|tiff?|webp)", re.IGNORECASE)
_LIST = re.compile(r".*\.txt", re.IGNORECASE)

# What is no path: "rtsp://...", "synthetic:...", "webcam:1", "0"; but "C:..." is one.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:.*|\d+", re.IGNORECASE)


def is_video(path: str | Path) -> bool:
    """Whether a file is a video, by its name."""
    return _VIDEO.fullmatch(str(path)) is not None


def is_image(path: str | Path) -> bool:
    """Whether a file is an image, or a pattern such as img_%04d.png stands for images."""
    return _IMAGE.fullmatch(str(path)) is not None


def is_list(path: str | Path) -> bool:
    """Whether a file lists sources, by its name."""
    return _LIST.fullmatch(str(path)) is not None


def _matches(pattern: str) -> Callable[[str], bool]:
    expression = re.compile(pattern, re.IGNORECASE)
    return lambda spec: expression.fullmatch(spec) is not None


def _is_glob(spec: str) -> bool:
    return any(sign in spec for sign in "*?[") and not Path(spec).exists()


# What a spec looks like, and the module whose `open_spec(spec, options)` opens it; the first that
# fits is taken. To add a kind of source, add its module and a line here.
_KINDS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (_matches(r"synthetic:.*"), "synthetic"),
    (_matches(r"(webcam:)?\d+|/dev/video\d+"), "webcam"),
    (_matches(r"[a-z][a-z0-9+.-]+://.*"), "network"),
    (_is_glob, "collection"),
    (is_list, "collection"),
    (lambda spec: Path(spec).is_dir(), "collection"),
    (is_image, "images"),
    (lambda spec: True, "video"),
)


def open_spec_in(spec: str, options: Options, folder: Path = Path()) -> Source:
    """Open what a spec names; a path in it is relative to `folder`.

    Raises:
        SourceError: nothing is there, or the options do not suit it.
    """
    if not _ADDRESS.fullmatch(spec):
        spec = str(folder / Path(spec).expanduser())
    try:
        module = next(module for matches, module in _KINDS if matches(spec))
        source: Source = import_module(f"streamdyn.sources.{module}").open_spec(spec, options)
    except OSError as error:
        raise SourceError(
            f"cannot look at {spec}: {error.strerror}; check the path and its permissions"
        ) from None
    return source


def require_path(path: Path) -> Path:
    """Return a path that exists.

    Raises:
        SourceError: it does not; the text names the nearest that does.
    """
    if path.exists():
        return path
    if not path.parent.is_dir():
        raise SourceError(f"there is no {path}, and no folder {path.parent}; check the spelling")
    near = get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], 1, 0.8)
    hint = f"did you mean {path.parent / near[0]}?" if near else "check the spelling"
    raise SourceError(f"there is no {path}; {hint}")
