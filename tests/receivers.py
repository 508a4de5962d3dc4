"""Receivers of syslog on this machine, over TCP or TLS, that read, stall or break as a test wants."""

import socket
import ssl
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Receiver:
    """`messages` are those that came in whole; `mood` is what it does with a connection: take, stall or break."""

    port: int = 0
    mood: str = "take"
    messages: list = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def take(self, connection):
        content = b""
        while part := connection.recv(65_536):
            content += part
        self.messages += framed(content)

    take_silently = take

    def stall(self, connection):
        self.over.wait(10)

    def break_off(self, connection):
        connection.recv(100)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def framed(content):
    """The messages behind their counts of octets (RFC 6587)."""
    messages = []
    while content:
        count, _space, content = content.partition(b" ")
        messages.append(content[: int(count)])
        content = content[int(count) :]
    return messages


@contextmanager
def receiving(context=None):
    receiver, server = Receiver(), socket.create_server(("127.0.0.1", 0))
    receiver.port = server.getsockname()[1]

    def serve():
        while True:
            try:
                connection, _peer = server.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) if context else connection as open_one:
                    getattr(receiver, receiver.mood)(open_one)
                    if context and receiver.mood == "take":
                        open_one.unwrap()
            except (OSError, ssl.SSLError):
                pass  # the other side has gone, as some tests want it to

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)
