"""The dry run of a configuration: every part is tried, and nothing is run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from streamdyn.errors import SourceError, StreamdynError
from streamdyn.serve.config import Config
from streamdyn.sinks import SINKS, check_kind, open_sink
from streamdyn.sources import SourceInfo
from streamdyn.specs import ModelSpec, StreamSpec
from streamdyn.watch import HungError, Watched

SIDE_BY_SIDE = 32  # sources that are asked at once
PATIENCE = 2.0  # times its deadline to open a source, and as much to read from it
USUAL_SIZE = (512, 1024)  # of a picture, where the source does not say


@dataclass(slots=True)
class Finding:
    """What came of checking one stream."""

    name: str
    info: SourceInfo | None = None  # None: the source does not answer
    wrong: dict[str, StreamdynError] = field(default_factory=dict)  # by setting


def output_error(config: Config) -> StreamdynError | None:
    """Why results cannot be written where they should be; None: they can."""
    folder = Path(config.settings.output).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return None
    return config.document.error(("output",), f"{there} is no folder that may be written")


def check(config: Config) -> list[Finding]:
    """Try the policy, the sinks, the source and the model of each stream.

    Sources are asked side by side, each within its deadline; equal models are loaded once.
    """
    streams = list(config.streams.values())
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
        findings = list(pool.map(partial(_check_parts, config), streams))
    by_model: dict[ModelSpec, list[tuple[StreamSpec, Finding]]] = {}
    for stream, finding in zip(streams, findings, strict=True):
        by_model.setdefault(stream.model, []).append((stream, finding))
    for model, users in by_model.items():
        sizes = {finding.info.size for _, finding in users if finding.info}
        try:
            _try_model(model, sizes or {USUAL_SIZE})
        except StreamdynError as error:
            for stream, finding in users:
                finding.wrong["model"] = config.error(stream.name, "model", str(error))
    return findings


def _check_parts(config: Config, stream: StreamSpec) -> Finding:
    finding = Finding(stream.name)
    for setting, error in _wrong_parts(stream):
        finding.wrong[setting] = config.error(stream.name, setting, str(error))
    if "policy" not in finding.wrong:
        try:
            finding.info = _answer(stream)
        except StreamdynError as error:
            finding.wrong["source"] = config.error(stream.name, "source", str(error))
    return finding


def _wrong_parts(stream: StreamSpec) -> Iterator[tuple[str, StreamdynError]]:
    parts: list[tuple[str, Callable[[], object]]] = [("policy", stream.make_policy)]
    parts += [("save", partial(_try_sink, kind)) for kind in stream.save]
    for setting, attempt in parts:
        try:
            attempt()
        except StreamdynError as error:
            yield setting, error


def _try_sink(kind: str) -> None:
    """Write an empty file; a receiver may be down when streams start, and is not asked."""
    check_kind(kind)
    if kind in SINKS:
        with TemporaryDirectory() as folder, open_sink(kind, folder):
            pass


def _answer(stream: StreamSpec) -> SourceInfo:
    """What the source says of itself; a decoder that hangs is left behind."""
    ask = Watched(f"check {stream.name}")
    try:
        return ask(2 * PATIENCE * stream.timeout_seconds, lambda: stream.open().info())
    except HungError as error:
        raise SourceError(f"the source hangs: to ask it {error}") from None


def _try_model(model: ModelSpec, sizes: set[tuple[int, int]]) -> None:
    loaded = model.load()
    for size in sizes:
        loaded.describe(size)
