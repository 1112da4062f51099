"""Many sources under one name: a folder, a glob, or a text file that lists them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path

from streamdyn.errors import SourceError
from streamdyn.sources.base import Options, Source
from streamdyn.sources.images import ImageSequence
from streamdyn.sources.naming import distinct_names, natural_order, safe_name
from streamdyn.sources.opening import is_image, is_list, is_video, open_spec_in, require_path
from streamdyn.sources.report import SourceInfo, SourceReport
from streamdyn.sources.resume import Resume
from streamdyn.types import Frame


def open_spec(spec: str, options: Options) -> Source:
    """A folder, a glob pattern, or a text file of sources."""
    if is_list(spec):
        return _open_list(require_path(Path(spec)), options)
    if Path(spec).is_dir():
        found = [path for path in Path(spec).iterdir() if not path.name.startswith(".")]
        files = [path for path in found if path.is_file()]
        lacks = (
            f"the folder {spec} has no video and no image; name the files "
            f"('{Path(spec) / '*.mp4'}', or with folders below '{Path(spec) / '**' / '*.mp4'}')"
        )
    else:
        files = [path for path in map(Path, glob(spec, recursive=True)) if path.is_file()]
        lacks = _no_match(spec, files)
    return _open_files(spec, files, lacks, options)


class SourceList(Source):
    """Sources one after another. Its `streams` are there to be read side by side."""

    def __init__(self, url: str, members: Sequence[Source], name: str | None) -> None:
        self.url = url
        self.name = safe_name(name or Path(url).stem)
        self._streams = tuple(stream for member in members for stream in member.streams)
        if name and len(self._streams) > 1:
            raise SourceError(
                f"name is for a single stream; {url} has {len(self._streams)}, named by themselves"
            )
        names = distinct_names((stream.name, stream.url) for stream in self._streams)
        for stream, distinct in zip(self._streams, [self.name] if name else names, strict=True):
            stream.name = distinct

    @property
    def live(self) -> bool:
        return any(stream.live for stream in self._streams)

    @property
    def live_reason(self) -> str:
        live = [stream.name for stream in self._streams if stream.live]
        return f"{', '.join(live)} is live" if live else "none of its streams is live"

    @property
    def streams(self) -> tuple[Source, ...]:
        return self._streams

    @property
    def report(self) -> SourceReport:
        """The sums over all streams; their times start anew with each."""
        total = SourceReport()
        for stream in self._streams:
            total.add(stream.report)
        return total

    @property
    def stuck(self) -> bool:
        return any(stream.stuck for stream in self._streams)

    @property
    def ended(self) -> bool:
        return all(stream.ended for stream in self._streams)

    def stop(self) -> None:
        for stream in self._streams:
            stream.stop()

    def resumed(self, place: Resume) -> Source:
        if len(self._streams) > 1:
            raise SourceError(
                f"{self.url} has {len(self._streams)} streams; take up each of them by itself"
            )
        return self._streams[0].resumed(place)

    def info(self) -> SourceInfo:
        """What the first of the streams is, under the name of the list."""
        first = self._streams[0].info()
        return replace(
            first, name=self.name, url=self.url, live=self.live, live_reason=self.live_reason
        )

    def __iter__(self) -> Generator[Frame]:
        if self.live and len(self._streams) > 1:
            raise SourceError(
                f"{self.url} has live streams, which do not wait for one another; read each of its "
                "streams by itself"
            )
        return self._chain()

    def _chain(self) -> Generator[Frame]:
        for stream in self._streams:
            yield from stream


def _no_match(pattern: str, files: list[Path]) -> str:
    """What is wrong with a pattern that leads to no video and no image, but perhaps to `files`."""
    if files:
        return f"what matches {pattern} is no video and no image by its name, such as {files[0]}"
    parts = Path(pattern).parts
    fixed = Path(*takewhile(lambda part: not has_magic(part), parts))
    if not fixed.is_dir():
        return f"no file matches {pattern}: there is no folder {fixed}; check the spelling"
    return f"no file matches {pattern}; look what there is in {fixed.absolute()}"


def _open_files(spec: str, files: list[Path], lacks: str, options: Options) -> Source:
    """One stream for each video; or, if there are only images, one of them all.

    Raises:
        SourceError: there is neither; it `lacks` them.
    """
    files.sort(key=natural_order)
    videos = [path for path in files if is_video(path)]
    images = [path for path in files if is_image(path)]
    if not videos and images:
        return ImageSequence(spec, images, options)
    if not videos:
        raise SourceError(lacks)
    single = replace(options, name=None)
    return SourceList(spec, [open_spec_in(str(path), single) for path in videos], options.name)


def _open_list(path: Path, options: Options) -> Source:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise SourceError(f"{path} is not a text file in UTF-8; list one source per line") from None
    members = []
    for number, line in enumerate(lines, 1):
        spec = line.strip()
        if not spec or spec.startswith("#"):
            continue
        try:
            if is_list(spec):
                raise SourceError(f"{spec} is a list; a list cannot name another, copy its lines")
            members.append(open_spec_in(spec, replace(options, name=None), path.parent))
        except SourceError as error:
            raise SourceError(f"{path}, line {number}: {error}", error.cause) from None
    if not members:
        raise SourceError(f"{path} lists no source; write one per line")
    return SourceList(str(path), members, options.name)
