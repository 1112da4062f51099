"""An RTSP server whose cameras are clips, played over and over."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from streamdyn.bench.cameras.ports import local_url
from streamdyn.bench.cameras.process import ServerProcess
from streamdyn.errors import SourceError

# GStreamer's bindings are a package of the system, and so is the Python that they are built for.
_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).with_name("gstreamer.py")
_PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad python3-gi"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """A clip that is shown as a camera: an H.264 video, sent as it is, never encoded again."""

    clip: Path
    running: bool = False
    """It goes on while nobody looks, so that clients join it between key frames. Otherwise it
    starts at the clip's first frame when its first client connects."""


class RtspServer(ServerProcess):
    """Serves cameras by RTSP, over TCP and UDP, on one port of this machine.

    Args:
        cameras: by the name under which each is served; a path is a camera that shows this clip.
        user: who alone may look, with `password`; "" lets everyone in.
        digest: ask for the password by digest authentication, not by basic.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        cameras: Mapping[str, Camera | Path],
        *,
        user: str = "",
        password: str = "",
        digest: bool = False,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.cameras = {
            name: camera if isinstance(camera, Camera) else Camera(clip=camera)
            for name, camera in cameras.items()
        }
        self._access = {"user": user, "password": password, "digest": digest}

    def url(self, camera: str, *, user: str = "", password: str = "") -> str:
        """The address of a camera, with credentials only if they are given."""
        return local_url("rtsp", self.port, camera, user=user, password=password)

    def command(self) -> list[str]:
        return [_PYTHON, str(_SCRIPT)]

    def request(self) -> bytes:
        cameras = {name: asdict(camera) for name, camera in self.cameras.items()}
        settings = {"port": self.port, "cameras": cameras, **self._access}
        return json.dumps(settings, default=str).encode()


def require_rtsp_server() -> None:
    """See that this machine can run an RtspServer.

    Raises:
        SourceError: it cannot; the message names the packages to install.
    """
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    try:
        found = not subprocess.run([_PYTHON, "-c", check], capture_output=True).returncode
    except FileNotFoundError:
        found = False
    if not found:
        raise SourceError(
            f"{_PYTHON} finds no RTSP server of GStreamer, which plays the cameras; on Debian and "
            f"Ubuntu: apt-get install {_PACKAGES}"
        )
