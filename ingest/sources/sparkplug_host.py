"""The MQTT side of a Sparkplug host application: STATE as birth and will, births and data in, rebirth requests out.

STATE is the one retained message and the one will of the product, on Sparkplug's topics alone. The session is clean,
as the specification has it: what comes while we are away is lost, which is a gap.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import paho.mqtt.client as paho

from ingest.sources.mqtt_inbox import Access, MqttInbox
from ingest.sources.sparkplug import NAMESPACE
from ingest.sources.sparkplug_payload import rebirth_request, state

DEATH_LIMIT_S = 2.0
MAX_STATE_BYTES = 1000


class _State(msgspec.Struct):
    online: bool


class SparkplugInbox(MqttInbox):
    """The session of host application `host_id` on the topics of `group`; `wall_ms` tells UTC milliseconds."""

    def __init__(self, access: Access, group: str, host_id: str, wall_ms: Callable[[], int]) -> None:
        self._group = group
        self._state_topic = f"{NAMESPACE}/STATE/{host_id}"
        self._wall_ms = wall_ms
        self._born_ms = 0
        super().__init__(access, [self._state_topic, f"{NAMESPACE}/{group}/#"], clean=True)
        self.client.on_pre_connect = self._will

    def stop(self) -> None:
        """Publishes the death certificate and closes the connection."""
        # From here on an offline STATE is our own word, which is not to be corrected.
        self._stopping = True
        if self.client.is_connected():
            self._publish_state(online=False, t_ms=self._wall_ms()).wait_for_publish(DEATH_LIMIT_S)
        super().stop()

    def ready(self) -> None:
        """The birth certificate, with the time that the will of this connection carries."""
        self._publish_state(online=True, t_ms=self._born_ms)

    def ask_rebirth(self, node: str) -> None:
        """Asks `node` for its births; a request that is lost is repeated when the next message shows it."""
        self.client.publish(f"{NAMESPACE}/{self._group}/NCMD/{node}", rebirth_request(self._wall_ms()), qos=0)

    def _will(self, connection: paho.Client, _data: object) -> None:
        self._born_ms = self._wall_ms()
        connection.will_set(self._state_topic, state(online=False, t_ms=self._born_ms), qos=1, retain=True)

    def _publish_state(self, *, online: bool, t_ms: int) -> paho.MQTTMessageInfo:
        return self.client.publish(self._state_topic, state(online=online, t_ms=t_ms), qos=1, retain=True)

    def _message(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        if message.topic != self._state_topic:
            super()._message(client, data, message)
            return
        if message.qos == 1:
            client.ack(message.mid, 1)
        if not self._stopping and _offline(bytes(message.payload)):
            self._publish_state(online=True, t_ms=self._born_ms)


def _offline(payload: bytes) -> bool:
    """Whether a STATE payload says that its host is not there; anything else than a STATE says nothing."""
    try:
        return not msgspec.json.decode(payload[:MAX_STATE_BYTES], type=_State).online
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
