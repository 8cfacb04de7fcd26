"""The few MQTT 3.1.1 packets that the message generator needs, encoded beforehand.

It must be faster than who listens.
"""

import socket
from typing import Final

PUBACK_BYTES: Final = 4
CONNACK_BYTES: Final = 4
MESSAGE_IDS: Final = 65_535


def connect(client_id: str, keepalive_seconds: int = 600) -> bytes:
    """CONNECT with a clean session and no user."""
    body = _text("MQTT") + b"\x04\x02" + keepalive_seconds.to_bytes(2, "big") + _text(client_id)
    return b"\x10" + _length(len(body)) + body


def publish(number: int, topic: str, payload: bytes) -> bytes:
    """PUBLISH at QoS 1; `number` counts the connection's messages from 0 and gives the message id."""
    body = _text(topic) + (number % MESSAGE_IDS + 1).to_bytes(2, "big") + payload
    return b"\x32" + _length(len(body)) + body


def open_connection(port: int, client_id: str) -> socket.socket:
    """A connection with a clean session: what the broker kept for this client is gone. Raises ConnectionError."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(connect(client_id))
    answer = connection.recv(CONNACK_BYTES, socket.MSG_WAITALL)
    if answer[3:] != b"\0":
        connection.close()
        raise ConnectionError(f"The broker answered {answer!r}.")
    return connection


def send_one(port: int, topic: str, payload: bytes) -> None:
    """One message at QoS 1, acknowledged by the broker."""
    with open_connection(port, "benchmark-probe") as connection:
        connection.sendall(publish(0, topic, payload))
        connection.recv(PUBACK_BYTES, socket.MSG_WAITALL)


def _text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def _length(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, digit = divmod(value, 128)
        encoded.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(encoded)
