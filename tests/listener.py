"""A real HTTP(S) server on this machine that answers as a test wants, and remembers what it was asked."""

import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SILENCE = None  # an answer that never comes


@dataclass
class Listener:
    """`answers`: (status, body, headers) or SILENCE; the last one stays. `trickle`: seconds between bytes of a body."""

    answers: list = field(default_factory=lambda: [(200, b"{}", {})])
    trickle: float = 0.0
    silent: threading.Event = field(default_factory=threading.Event)
    asked: list = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    def url(self, host="127.0.0.1", path="/hook"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def then(self, status=200, body=b"{}", **headers):
        self.answers = [(status, body, headers)]

    def answer(self):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def handler_for(listener):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.do_POST()

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            listener.asked.append((self.path, dict(self.headers), body))
            listener.silent.wait()
            if (answer := listener.answer()) is SILENCE:
                self.rfile.read(1)  # until the other side has gone
            else:
                self.speak(*answer)

        def speak(self, status, body, headers):
            try:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for part in [body[i : i + 1] for i in range(len(body))] if listener.trickle else [body]:
                    self.wfile.write(part)
                    time.sleep(listener.trickle)
            except OSError:
                pass  # the other side has gone, as some tests want it to

        def log_message(self, *args):
            pass

    return Handler


@contextmanager
def listening(context=None):
    """A listener that answers 200 and an empty object; `context` makes it speak TLS."""
    listener = Listener()
    listener.silent.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(listener))
    server.daemon_threads, server.block_on_close = True, False
    server.handle_error = lambda *args: None
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        listener.scheme = "https"
    listener.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        listener.silent.set()
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(directory, *, name):
    """A certificate for `name` and its key in one file: the file, and the context of a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    at = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = directory / f"{name}.pem"
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


def alternative(name):
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
