"""A server that speaks just enough of PostgreSQL's protocol to ask for a password and refuse it."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

CLEARTEXT = b"R" + struct.pack("!II", 8, 3)


def error(state: bytes, words: bytes) -> bytes:
    """Return an ErrorResponse."""
    fields = b"SFATAL\0VFATAL\0C" + state + b"\0M" + words + b"\0\0"
    return b"E" + struct.pack("!I", len(fields) + 4) + fields


class RefusingServer:
    """Asks each client for its password, and answers with an error.

    Args:
        answer: The error.

    Attributes:
        port: Where it listens.
        heard: What clients sent as their password.
    """

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.heard: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._socket.accept()
                with client, suppress(OSError):
                    self._speak(client)

    def _speak(self, client: socket.socket) -> None:
        (length, code) = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
        client.recv(length - 8, socket.MSG_WAITALL)
        if code in (80877103, 80877104):  # it asks for TLS, or for GSSAPI
            client.sendall(b"N")
            self._speak(client)
            return
        client.sendall(CLEARTEXT)
        _, length = struct.unpack("!cI", client.recv(5, socket.MSG_WAITALL))
        self.heard.append(client.recv(length - 4, socket.MSG_WAITALL).rstrip(b"\0"))
        client.sendall(self._answer)
