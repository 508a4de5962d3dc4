"""TLS over a connection, for a sender that must know how it ended.

`ssl.SSLSocket` cannot tell it everywhere: that of Python 3.11.2, which Debian 12 has, takes a connection that was cut
for one that the other side closed (python/cpython#95494).
"""

import socket
import ssl
from collections.abc import Callable

# What is read from the network at once: one record of TLS and more.
READ = 32_768


class Tls:
    """One side of a TLS connection, the client's. The connection stays the caller's, with its timeouts."""

    def __init__(self, connection: socket.socket, *, host: str) -> None:
        """Agree with the other side. Raises ssl.SSLError, OSError."""
        self._connection = connection
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = ssl.create_default_context().wrap_bio(self._came, self._goes, server_hostname=host)
        self._until_done(self._tls.do_handshake)

    def sendall(self, content: bytes) -> None:
        self._tls.write(content)
        self._flush()

    def close(self) -> None:
        """Say that nothing more comes, and wait for the same: whoever is in between can end it, but not say so.

        Raises:
            ssl.SSLEOFError: the connection was ended without that word.
        """
        self._until_done(self._tls.unwrap)

    def _until_done(self, act: Callable[[], object]) -> None:
        while not self._done(act):
            self._read()

    def _done(self, act: Callable[[], object]) -> bool:
        try:
            act()
            return True
        except ssl.SSLWantReadError:
            return False
        finally:
            self._flush()

    def _flush(self) -> None:
        if content := self._goes.read():
            self._connection.sendall(content)

    def _read(self) -> None:
        content = self._connection.recv(READ)
        if not content:
            raise ssl.SSLEOFError("the connection was ended without a word of TLS")
        self._came.write(content)
