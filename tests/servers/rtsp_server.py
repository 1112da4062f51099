"""A camera for tests: serves a raw H.264 file over and over by RTSP, at its own pace.

Run by the system's Python, which has GStreamer: /usr/bin/python3 rtsp_server.py FILE FPS USER:PASS
The file must have an access unit delimiter before each frame. Prints the port that it listens on.
An empty USER:PASS lets everyone in.
"""

import re
import sys
from itertools import count
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

DELIMITER = re.compile(rb"(?=\x00\x00\x00\x01\x09)")
LAUNCH = (
    "( appsrc name=frames format=time is-live=true "
    "caps=video/x-h264,stream-format=byte-stream,alignment=au "
    "! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"
)


def main(path: str, fps: str, credentials: str) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
    factory = GstRtspServer.RTSPMediaFactory(shared=True)
    factory.set_launch(LAUNCH)
    units = [unit for unit in DELIMITER.split(Path(path).read_bytes()) if unit]
    factory.connect("media-configure", lambda _, media: feed(media, units, float(fps)))
    if credentials:
        demand_credentials(server, factory, credentials)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


def feed(media: GstRtspServer.RTSPMedia, units: list[bytes], fps: float) -> None:
    """Push one frame after another into a client's pipeline, each at its time."""
    source = media.get_element().get_by_name_recurse_up("frames")
    numbers = count()

    def push() -> bool:
        number = next(numbers)
        buffer = Gst.Buffer.new_wrapped(units[number % len(units)])
        buffer.pts = buffer.dts = int(number / fps * Gst.SECOND)
        return source.emit("push-buffer", buffer) == Gst.FlowReturn.OK

    push()
    GLib.timeout_add(int(1000 / fps), push)


def demand_credentials(
    server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, credentials: str
) -> None:
    user, _, password = credentials.partition(":")
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    factory.add_role_from_structure(
        Gst.Structure.new_from_string(
            "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
