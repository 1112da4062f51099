"""Arguments that several subcommands share, and the objects they stand for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from streamdyn.defaults import MODEL
from streamdyn.errors import StreamdynError
from streamdyn.parsing import argument, parse_propagation, parse_size
from streamdyn.specs import ModelSpec

if TYPE_CHECKING:
    from streamdyn.models.vision import VisionModel
    from streamdyn.sources import Source
    from streamdyn.sources.selection import Selection


def add_model_arguments(parser: argparse.ArgumentParser, *, positional: bool = False) -> None:
    what = (
        "FILE.onnx, hf:FOLDER, module:callable, ./file.py:callable, a built-in name, "
        "torchvision:NAME or timm:NAME"
    )
    if positional:
        parser.add_argument("model", metavar="MODEL", help=what)
    else:
        parser.add_argument("--model", default=MODEL, help=f"{what} (default: %(default)s)")
    parser.add_argument("--card", type=Path, help="model card; default: the TOML beside the model")
    size = argument(parse_size)
    parser.add_argument("--size", type=size, metavar="HxW", help="network input, in pixels")
    parser.add_argument("--block", type=positive, default=32, help="block side in pixels (32)")
    parser.add_argument("--threads", type=positive, help="threads of the model (all cores)")
    parser.add_argument(
        "--device",
        default="cpu",
        help="where the network is computed: cpu, cuda, cuda:1, ... (%(default)s)",
    )
    parser.add_argument(
        "--dtype",
        choices=["float32", "bfloat16"],
        default="float32",
        help="numbers of the network; bfloat16 is up to twice as fast (%(default)s)",
    )
    parser.add_argument(
        "--propagation",
        type=argument(parse_propagation),
        default="copy",
        help="what is computed for the blocks asked for: copy (these alone), exact (all that "
        "depends on them) or a tolerance, such as 0.01 (of that, what changes by more); the latter "
        "two are not for speed (%(default)s)",
    )


def model_spec(options: argparse.Namespace) -> ModelSpec:
    """The model that the options name."""
    return ModelSpec(
        spec=options.model,
        card=str(options.card) if options.card else None,
        size=options.size,
        block=options.block,
        dtype=options.dtype,
        propagation=options.propagation,
        device=options.device,
    )


def load_model(options: argparse.Namespace) -> VisionModel:
    """The model that the options name, loaded."""
    return model_spec(options).load(options.threads)


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start", type=float, default=0.0, help="seconds into the stream")
    parser.add_argument("--duration", type=float, help="seconds to read")
    parser.add_argument("--stride", type=positive, default=1, help="read every n-th frame")
    parser.add_argument("--max-fps", type=float, help="read no more frames per second than this")
    parser.add_argument("--max-frames", type=positive, help="read no more frames than this")
    parser.add_argument("--fps", type=float, help="frames per second of an image sequence")
    parser.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        help="seconds before a network source that says nothing is given up (%(default)s)",
    )
    parser.add_argument(
        "--transport", choices=["tcp", "udp"], help="of RTSP; udp is for cameras without tcp (tcp)"
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--live",
        action="store_const",
        const=True,
        dest="live",
        help="take the source as live: drop frames rather than fall behind",
    )
    kind.add_argument(
        "--file",
        action="store_const",
        const=False,
        dest="live",
        help="take the source as a file: read every frame",
    )


def open_streams(
    specs: list[str],
    options: argparse.Namespace,
    *,
    motion: bool = False,
    key_frames: bool = False,
) -> list[Source]:
    """Every single stream of the sources, each with a name of its own.

    All or nothing: what is not there, or not understood, is a wrong command line. What cannot be
    reached or decoded shows when the stream runs, and does not touch the others.

    Raises:
        SourceError: a source is not there, or the options do not suit it.
    """
    from streamdyn.sources import open_source
    from streamdyn.sources.collection import SourceList

    sources = [
        open_source(
            spec,
            live=options.live,
            start=options.start,
            duration=options.duration,
            stride=options.stride,
            max_fps=options.max_fps,
            max_frames=options.max_frames,
            fps=options.fps,
            motion=motion,
            key_frames=key_frames,
            timeout_seconds=options.timeout,
            transport=options.transport,
        )
        for spec in specs
    ]
    return list(SourceList("command line", sources, None).streams)


def selection_of(options: argparse.Namespace) -> Selection:
    """The part of each source that the options choose.

    Raises:
        SourceError: they select nothing, or make no sense.
    """
    from streamdyn.sources.selection import Selection

    return Selection(
        options.start, options.duration, options.stride, options.max_fps, options.max_frames
    )


def parse_kinds(text: str) -> list[str]:
    """Read kinds of result files and URLs of receivers, between commas; each counts once."""
    from streamdyn.sinks import check_kind

    kinds = list(dict.fromkeys(text.split(",")))
    for kind in kinds:
        try:
            check_kind(kind)
        except StreamdynError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return kinds


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
