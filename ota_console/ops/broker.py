"""Asks the MQTT broker whether it lets the server in: one CONNECT and its answer, without a client library.

A library would keep a connection alive; a health check wants the first four bytes alone, in bounded time.
"""

import socket
import ssl
from typing import Final
from urllib.parse import unquote, urlsplit

from ota_console.core import ids

MQTT_PORT: Final = 1883
MQTTS_PORT: Final = 8883
CONNACK: Final = 0x20
CONNACK_BYTES: Final = 4
REFUSED_CREDENTIALS: Final = frozenset({4, 5})
"""MQTT 3.1.1: bad user name or password, not authorized."""
UNAVAILABLE: Final = 3
DISCONNECT: Final = b"\xe0\x00"
HAS_USERNAME: Final = 0x80
HAS_PASSWORD: Final = 0x40
CLEAN_SESSION: Final = 0x02


class BrokerRefused(Exception):
    """The broker answered, and does not serve us; the message says what to do."""


def ask_broker(url: str, *, ca_file: str, timeout_seconds: float) -> None:
    """Log in as the server does. Raises OSError for a broker that is away or silent, BrokerRefused."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "mqtts"
    address = (parts.hostname or "127.0.0.1", parts.port or (MQTTS_PORT if is_tls else MQTT_PORT))
    with socket.create_connection(address, timeout=timeout_seconds) as plain:
        if is_tls:
            context = ssl.create_default_context(cafile=ca_file or None)
            with context.wrap_socket(plain, server_hostname=address[0]) as encrypted:
                _log_in(encrypted, unquote(parts.username or ""), unquote(parts.password or ""))
        else:
            _log_in(plain, unquote(parts.username or ""), unquote(parts.password or ""))


def connect_packet(*, client_id: str, username: str, password: str) -> bytes:
    """A CONNECT of MQTT 3.1.1 with a clean session."""
    flags = CLEAN_SESSION | (HAS_USERNAME if username else 0) | (HAS_PASSWORD if username and password else 0)
    texts = [client_id, *([username] if username else []), *([password] if username and password else [])]
    body = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x0a" + b"".join(map(_text, texts))
    low, high = len(body) % 128, len(body) // 128
    return b"\x10" + (bytes([low | 0x80, high]) if high else bytes([low])) + body


def _text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _log_in(connection: socket.socket, username: str, password: str) -> None:
    connection.sendall(
        connect_packet(client_id=f"ota-health-{ids.new_public_id()}", username=username, password=password)
    )
    answer = b""
    while len(answer) < CONNACK_BYTES:
        more = connection.recv(CONNACK_BYTES - len(answer))
        if not more:
            raise ConnectionResetError
        answer += more
    if answer[0] != CONNACK:
        raise BrokerRefused("What listens at MQTT_URL does not speak MQTT. Correct MQTT_URL.")
    if answer[3] in REFUSED_CREDENTIALS:
        raise BrokerRefused(
            "It refuses the user name and password of MQTT_URL. Correct MQTT_URL, or the broker's account."
        )
    if answer[3] == UNAVAILABLE:
        raise BrokerRefused("It says that it is not available now. Look into the broker's log.")
    connection.sendall(DISCONNECT)
