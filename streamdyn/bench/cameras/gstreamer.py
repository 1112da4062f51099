"""The process behind RtspServer. Run by the system's Python, so it imports nothing of ours.

Reads its settings as JSON from standard input: port, cameras (clip and running, by name), user,
password, digest.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

_READ = (
    "filesrc name=file ! parsebin ! h264parse ! video/x-h264,stream-format=avc,alignment=au "
    "! appsink name=units sync=false"
)
_SEND = "( appsrc name=units format=time is-live=true ! rtph264pay name=pay0 pt=96 )"


@dataclass(frozen=True)
class Unit:
    """An access unit: one coded picture. Times are nanoseconds from the first of the clip."""

    data: bytes
    dts: int
    pts: int


@dataclass
class Clip:
    """A clip in memory, and how far it has been played while nobody looked."""

    units: list[Unit]
    caps: Gst.Caps
    period: int
    """From the start of one round to the next, in nanoseconds."""
    born: float = field(default_factory=monotonic)

    @classmethod
    def read(cls, path: str) -> Clip:
        samples = read_samples(path)
        if len(samples) < 2:
            raise SystemExit(f"{path} is no video in H.264 of two or more frames")
        buffers = [sample.get_buffer() for sample in samples]
        shown = sorted(buffer.pts for buffer in buffers)
        # Units are sent in the order of decoding, at the times at which a picture is shown; each
        # picture is shown so much later that it has been sent by then.
        delay = max(sent - buffer.pts for sent, buffer in zip(shown, buffers, strict=True))
        units = [
            Unit(
                data=buffer.extract_dup(0, buffer.get_size()),
                dts=sent - shown[0],
                pts=buffer.pts + delay - shown[0],
            )
            for sent, buffer in zip(shown, buffers, strict=True)
        ]
        period = (shown[-1] - shown[0]) * len(units) // (len(units) - 1)
        return cls(units, samples[0].get_caps(), period)

    def position(self) -> int:
        """The number of the unit that is due now, had it been played since it was read."""
        now = int((monotonic() - self.born) * Gst.SECOND) % self.period
        return next((n for n, unit in enumerate(self.units) if unit.dts >= now), 0)


class Feed:
    """Pushes one unit after another into the pipeline of a camera, each at its time."""

    def __init__(self, media: GstRtspServer.RTSPMedia, clip: Clip, first: int) -> None:
        self._clip = clip
        self._number = first
        self._source = media.get_element().get_by_name_recurse_up("units")
        self._source.set_property("caps", clip.caps)
        self._zero = clip.units[first].dts
        self._start = monotonic()
        self._ended = False
        media.connect("unprepared", self._end)
        self._push()

    def _push(self) -> bool:
        """Push the unit that is due. Returns False: GLib need not call it again."""
        if self._ended:
            return False
        unit, passed = self._next()
        buffer = Gst.Buffer.new_wrapped(unit.data)
        buffer.pts, buffer.dts = unit.pts + passed, unit.dts + passed
        self._source.emit("push-buffer", buffer)
        self._number += 1
        unit, passed = self._next()
        wait = self._start + (unit.dts + passed) / Gst.SECOND - monotonic()
        GLib.timeout_add(max(int(1000 * wait), 0), self._push)
        return False

    def _next(self) -> tuple[Unit, int]:
        """The unit that is next, and what to add to its times."""
        rounds, number = divmod(self._number, len(self._clip.units))
        return self._clip.units[number], rounds * self._clip.period - self._zero

    def _end(self, _: GstRtspServer.RTSPMedia) -> None:
        self._ended = True


def read_samples(path: str) -> list[Gst.Sample]:
    """The access units of a file, in the order of decoding; what cannot be read is left out."""
    pipeline = Gst.parse_launch(_READ)
    pipeline.get_by_name("file").set_property("location", path)
    pipeline.set_state(Gst.State.PLAYING)
    sink, bus = pipeline.get_by_name("units"), pipeline.get_bus()
    samples = []
    while not sink.get_property("eos") and not bus.pop_filtered(Gst.MessageType.ERROR):
        if sample := sink.emit("try-pull-sample", Gst.SECOND // 20):
            samples.append(sample)
    pipeline.set_state(Gst.State.NULL)
    return samples


def serve(settings: dict[str, Any]) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=str(settings["port"]))
    clips: dict[str, Clip] = {}
    for name, camera in settings["cameras"].items():
        clip = clips.get(camera["clip"]) or Clip.read(camera["clip"])
        clips[camera["clip"]] = clip
        factory = mount(clip, camera["running"])
        if settings["user"]:
            allow_viewers(factory)
        server.get_mount_points().add_factory(f"/{name}", factory)
    if settings["user"]:
        server.set_auth(authentication(**settings))
    if not server.attach(None):
        raise SystemExit(f"port {settings['port']} is taken")
    GLib.MainLoop().run()


def mount(clip: Clip, running: bool) -> GstRtspServer.RTSPMediaFactory:
    """What makes the pipeline of a camera for its first client, and shares it with others."""
    factory = GstRtspServer.RTSPMediaFactory(shared=True)
    factory.set_launch(_SEND)
    factory.connect(
        "media-configure",
        lambda _, media: Feed(media, clip, clip.position() if running else 0),
    )
    return factory


def allow_viewers(factory: GstRtspServer.RTSPMediaFactory) -> None:
    rights = "media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
    factory.add_role_from_structure(Gst.Structure.new_from_string(f"viewer, {rights}"))


def authentication(*, user: str, password: str, digest: bool, **_: Any) -> GstRtspServer.RTSPAuth:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    if digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


if __name__ == "__main__":
    serve(json.load(sys.stdin))
