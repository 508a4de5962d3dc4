import socket
from contextlib import contextmanager

import pytest
from aiosmtpd.controller import Controller
from django.db import transaction

from accounts.models import User
from notifications.services import queue


@pytest.fixture
def make_person(db):
    def make(name="ana", **fields):
        return User.objects.create(
            username=name, email=f"{name}@example.org", **({"display_name": name.title()} | fields)
        )

    return make


@pytest.fixture
def person(make_person):
    return make_person()


@pytest.fixture
def queued(db):
    """Queue one message for each address, as an operation would."""

    def queue_to(*addresses, kind="role_ended", **content):
        with transaction.atomic():
            return queue(kind, to=addresses or ["ana@example.org"], context={"role": "Backup Operator"} | content)

    return queue_to


class Post:
    """A real mail server's side of the talk. `answers` gives what it says in a phase, by recipient or for all."""

    def __init__(self):
        self.envelopes = []
        self.connections = 0
        self.answers = {}

    def answer(self, phase, address=None):
        return self.answers.get((phase, address)) or self.answers.get(phase)

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802 (the server's name for it)
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802 (the server's name for it)
        envelope.mail_from = address
        return self.answer("MAIL") or "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 (the server's name for it)
        if refusal := self.answer("RCPT", address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (the server's name for it)
        said = self.answer("DATA", envelope.rcpt_tos[0])
        if said == "hang up":
            server.transport.abort()
            return "451 gone"
        if said:
            return said
        self.envelopes.append(envelope)
        return "250 OK"

    @property
    def recipients(self):
        return [address for envelope in self.envelopes for address in envelope.rcpt_tos]


@pytest.fixture
def post(settings):
    """A real SMTP server on the loopback; the site's mail goes there."""
    handler = Post()
    with listening(handler) as port:
        use_smtp(settings, port)
        yield handler


@pytest.fixture
def no_post(settings):
    """Mail goes to a port where nobody listens."""
    use_smtp(settings, free_port())


@contextmanager
def listening(handler):
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def use_smtp(settings, port):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", port, 5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
