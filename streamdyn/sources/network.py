"""Network streams: RTSP and other cameras, HTTP, HLS, UDP."""

from __future__ import annotations

from collections.abc import Generator
from functools import cached_property
from urllib.parse import urlsplit

from streamdyn.errors import SourceError
from streamdyn.sources.base import Nature, Options, Transport
from streamdyn.sources.container import Input
from streamdyn.sources.naming import url_name
from streamdyn.sources.report import SourceReport
from streamdyn.sources.selection import Picture
from streamdyn.sources.video import VideoSource

# Each scheme, and the protocols that FFmpeg may use for it. What a server sends must not make this
# machine read its own files, so "file", "concat" and the like are in none of them.
_RTSP = "rtsp,rtsps,rtp,srtp,udp,tcp,tls"
_HTTP = "http,https,httpproxy,tcp,tls,crypto"
_PROTOCOLS = {
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "http": _HTTP,
    "https": _HTTP,
    "udp": "udp",
    "rtp": "rtp,udp",
    "tcp": "tcp",
    "srt": "srt,udp",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
}
_MAYBE_FILES = ("http", "https")


def open_spec(spec: str, options: Options) -> NetworkSource:
    """A URL."""
    scheme = urlsplit(spec).scheme.lower()
    if scheme not in _PROTOCOLS:
        raise SourceError(
            f"{spec}: the scheme {scheme}:// is not known, only "
            f"{', '.join(f'{name}://' for name in _PROTOCOLS)}; give a file by its path"
        )
    if options.transport and not scheme.startswith("rtsp"):
        raise SourceError(f"transport is for RTSP; {spec} is not")
    return NetworkSource(spec, scheme, options)


class NetworkSource(VideoSource):
    """A stream from the network. By HTTP come both cameras and files; the header tells."""

    def __init__(self, url: str, scheme: str, options: Options) -> None:
        source = Input(
            url,
            options=_ffmpeg_options(scheme, options.transport),
            threads=options.threads,
            motion=options.motion,
            timeout_seconds=options.timeout_seconds,
        )
        super().__init__(source, url_name(url), options)
        self._scheme = scheme

    def _pictures(self, report: SourceReport) -> Generator[Picture]:
        yield from super()._pictures(report)
        if self.live and self._scheme not in _MAYBE_FILES:
            raise SourceError(
                f"{self.url} was lost: it closed the connection; if it is a recording that has an "
                "end, force it to be read like a file",
                "lost",
            )

    @cached_property
    def nature(self) -> Nature:
        if self._scheme not in _MAYBE_FILES:
            return Nature(True, f"{self._scheme}:// is live")
        with self._input.open() as (container, stream):
            if container.duration or stream.duration:
                return Nature(False, "its header gives a duration")
            is_hls = container.format.name == "hls"
            if not is_hls and container.size > 0:
                return Nature(False, "the server gives its length")
        return Nature(True, "neither header nor server says that it ends", in_bursts=is_hls)


def _ffmpeg_options(scheme: str, transport: Transport | None) -> dict[str, str]:
    chosen = {"protocol_whitelist": _PROTOCOLS[scheme]}
    if scheme not in _MAYBE_FILES:
        chosen["fpsprobesize"] = "2"  # frames; it would wait for a second of them
    if scheme.startswith("rtsp"):
        chosen["rtsp_transport"] = transport or "tcp"
        chosen["analyzeduration"] = "200000"  # microseconds: what it then knows is not needed
    return chosen
