"""A real MQTT broker on this machine: Debian's mosquitto."""

from __future__ import annotations

import getpass
import shutil
import subprocess

from streamdyn.bench.cameras.ports import HOST, local_url
from streamdyn.bench.cameras.process import ServerProcess

# Debian keeps it where only the administrator looks.
_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


class MqttBroker(ServerProcess):
    """A broker that forgets everything when it stops.

    Args:
        user: who alone may connect, with `password`; "" lets everyone in.
        port: 0 takes a free one.
    """

    def __init__(self, *, user: str = "", password: str = "", port: int = 0) -> None:
        super().__init__(port)
        lines = [
            f"listener {self.port} {HOST}",
            "persistence false",
            f"user {getpass.getuser()}",  # it can read the files here then
            f"allow_anonymous {'false' if user else 'true'}",
        ]
        if user:
            passwords = self.folder / "passwords"
            subprocess.run(
                ["mosquitto_passwd", "-c", "-b", str(passwords), user, password],
                check=True,
                capture_output=True,
            )
            lines.append(f"password_file {passwords}")
        self._settings = self.folder / "mosquitto.conf"
        self._settings.write_text("\n".join(lines) + "\n")

    def url(self, topic: str, *, user: str = "", password: str = "") -> str:
        """The address of a topic, with credentials only if they are given."""
        return local_url("mqtt", self.port, topic, user=user, password=password)

    def command(self) -> list[str]:
        return [mosquitto() or "mosquitto", "-c", str(self._settings)]


def mosquitto() -> str | None:
    """Where the broker is installed, if it is."""
    return shutil.which("mosquitto", path=_PATH)
