"""A buffered face for the socket under an MQTT client: one system call for hundreds of packets.

The client library reads a packet in three calls and writes each acknowledgement in one; here 256 KB come in one call,
and 1,000 acknowledgements leave in one (hotpath.md: "buffered socket"). The library is offered the packets that are
left to it. Must not know MQTT.
"""

import contextlib
import socket
import ssl
from typing import Final

READ_BYTES: Final = 262_144
RECEIVE_BUFFER_BYTES: Final = 1_048_576
"""Asked of the system: what the broker may send while a transaction runs."""


class BufferedSocket:
    """Has the methods that the client library calls on a socket; `read` and `flush` do the real transfers."""

    def __init__(self, raw: socket.socket) -> None:
        """`raw` is connected."""
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._raw = raw
        self._offered = b""
        self._position = 0
        self._outgoing = bytearray()
        self._is_at_end = False

    def fileno(self) -> int:
        """For selectors."""
        return self._raw.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the signature of socket.setblocking
        """Blocking mode of the real socket."""
        self._raw.setblocking(flag)

    def close(self) -> None:
        """Send what the system still takes (a goodbye, mostly) and close the real socket."""
        with contextlib.suppress(OSError):
            self.flush()
        self._raw.close()

    def pending(self) -> int:
        """Bytes that `recv` can answer: paho asks for them before it waits."""
        return len(self._offered) - self._position

    @property
    def is_at_end(self) -> bool:
        """The other side closed."""
        return self._is_at_end

    @property
    def has_hidden_bytes(self) -> bool:
        """Decrypted bytes that wait inside TLS: a selector does not see them."""
        return isinstance(self._raw, ssl.SSLSocket) and self._raw.pending() > 0

    @property
    def unsent(self) -> int:
        """Bytes that `flush` has still to send."""
        return len(self._outgoing)

    def read(self) -> bytes:
        """What the network brought, at most `READ_BYTES`; b"" for nothing. Raises OSError for a broken connection."""
        try:
            data = self._raw.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        self._is_at_end = not data
        return data

    def offer(self, packet: bytes) -> None:
        """A whole packet for the client library to `recv`."""
        self._offered = packet
        self._position = 0

    def recv(self, size: int) -> bytes:
        """At most `size` offered bytes; b"" at the end of the stream. Raises BlockingIOError when none are there."""
        data = self._offered[self._position : self._position + size]
        if not data and not self._is_at_end:
            raise BlockingIOError
        self._position += len(data)
        return data

    def send(self, data: bytes | bytearray) -> int:
        """Buffer everything; `flush` sends it."""
        self._outgoing += data
        return len(data)

    def flush(self) -> None:
        """Send what the system takes now. Raises OSError for a broken connection."""
        if not self._outgoing:
            return
        try:
            sent = self._raw.send(self._outgoing)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        del self._outgoing[:sent]
