"""The MQTT client of paho, made to end when it is told to, and without a traceback.

Raises:
    SinkError: on import, where paho-mqtt is not installed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event
from uuid import uuid4

from streamdyn.errors import SinkError
from streamdyn.sinks.receiver import cut

try:
    import paho.mqtt.client as paho
    from paho.mqtt.client import DisconnectFlags
    from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode
except ModuleNotFoundError:
    raise SinkError("MQTT needs paho-mqtt: pip install 'streamdyn[serve]'") from None

__all__ = ["Client", "DisconnectFlags", "Properties", "ReasonCode"]

log = logging.getLogger(__name__)

_LONGEST_LOOP_SECONDS = 2.0  # paho looks at its connection once a second at least


class Client(paho.Client):
    """A client for one connection."""

    def __init__(self, garbled: Callable[[], object], *, old: bool) -> None:
        """Prepare to connect.

        Args:
            garbled: told that the connection has ended over what is not MQTT, in place of
                `on_disconnect`.
            old: speak MQTT 3.1.1, which cannot say why a message is refused.
        """
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=f"streamdyn-{uuid4().hex[:12]}",
            protocol=MQTTProtocolVersion.MQTTv311 if old else MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._garbled = garbled
        self._ended = Event()
        self._ended.set()

    def loop_start(self) -> MQTTErrorCode:
        """Run in a thread of paho's."""
        self._ended.clear()
        return super().loop_start()

    def loop_forever(
        self, timeout: float = 1.0, retry_first_connection: bool = False
    ) -> MQTTErrorCode:
        """Run until the connection ends."""
        try:
            return super().loop_forever(timeout, retry_first_connection)
        except Exception:  # malformed packets raise whatever comes of reading them
            log.debug("paho-mqtt failed", exc_info=True)
            self._garbled()
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        finally:
            if (used := self.socket()) is not None:
                used.close()
            self._ended.set()

    def hang_up(self) -> None:
        """End the connection, and the thread. May be called from several threads at once."""
        cut(self.socket())
        self._ended.wait(_LONGEST_LOOP_SECONDS)  # loop_stop fails if the thread ends just then
        # They lead back here; without them the client goes at once, and its sockets with it.
        self.on_connect = self.on_disconnect = self.on_publish = None
        self._garbled = lambda: None
