"""Signed messages to other systems: against a real server, over real TLS, and with a resolver that lies."""

import socket
from datetime import UTC, datetime
from ipaddress import ip_address
from threading import Event
from time import monotonic

import pytest

from notifications import outgoing
from notifications.outgoing import Answer, NoAnswer
from tests.listener import certificate, listening
from tests.refusals import code_of_refusal

AT = datetime.fromtimestamp(1614265330, UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# That of the specification's own tests.
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
BODY = b'{"test": 2432232314}'
RESOLVE = socket.getaddrinfo

pytestmark = pytest.mark.once


@pytest.fixture
def listener():
    with listening() as listener:
        yield listener


@pytest.fixture
def opened(settings):
    settings.OUTGOING_NETWORKS, settings.OUTGOING_HTTP = ["127.0.0.0/8"], True


@pytest.fixture
def names(monkeypatch):
    """A resolver under the control of somebody else: each name's answers in their order."""
    table = {}

    def resolve(host, port, *args, **kwargs):
        return RESOLVE(table[host].pop(0) if host in table else host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return table


def send(url, *, secrets=(SECRET,), seconds=5.0):
    return outgoing.post(url, BODY, list(secrets), message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=AT, seconds=seconds)


def code_of(url, **changes):
    with pytest.raises(NoAnswer) as caught:
        send(url, **changes)
    return caught.value.code


def test_post_sends_what_the_specification_says(listener, opened):
    assert send(listener.url(path="/hook?a=1")) == Answer(200, b"{}")
    [(path, headers, body)] = listener.asked
    assert (path, body) == ("/hook?a=1", BODY)
    assert headers == {
        "Host": f"127.0.0.1:{listener.port}",
        "Accept-Encoding": "identity",
        "Content-Length": str(len(BODY)),
        "Content-Type": "application/json",
        "User-Agent": "PIM",
        "Connection": "close",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNED,
    }


def test_every_secret_signs_while_one_is_replaced(listener, opened):
    send(listener.url(), secrets=[outgoing.new_secret(), SECRET])
    first, second = listener.asked[0][1]["webhook-signature"].split()
    assert second == SIGNED
    assert first.startswith("v1,")
    assert first != second


def test_new_secrets_are_256_bits_and_never_the_same():
    secrets = {outgoing.new_secret() for _ in range(3)}
    assert [len(outgoing._key(secret)) for secret in secrets] == [32, 32, 32]


def test_redirect_is_an_answer_and_not_a_way(listener, opened):
    with listening() as other:
        listener.then(302, Location=other.url())
        assert send(listener.url()).status == 302
    assert (len(listener.asked), other.asked) == (1, [])


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b"x" * 10_000_000, {}), (b"x" * (64 * 1024 + 1), {})],
    ids=["10 MB", "one byte too many"],
)
def test_answer_beyond_64_kib_is_not_read(listener, opened, body, headers):
    listener.then(200, body, **headers)
    assert code_of(listener.url()) == "too_large"


def test_answer_of_64_kib_is_read(listener, opened):
    listener.then(200, b"x" * 64 * 1024)
    assert len(send(listener.url()).body) == 64 * 1024


def test_answer_that_breaks_off_is_none(listener, opened):
    listener.then(200, b"{}", **{"Content-Length": "50"})
    assert code_of(listener.url(), seconds=2) == "malformed"


def test_time_is_bounded_when_nothing_comes(listener, opened):
    listener.silent.clear()
    began = monotonic()
    assert code_of(listener.url(), seconds=0.3) == "timed_out"
    assert monotonic() - began < 1.5


def test_time_is_bounded_when_each_byte_comes_in_time(listener, opened):
    listener.trickle = 0.1
    listener.then(200, b"x" * 200)
    began = monotonic()
    assert code_of(listener.url(), seconds=0.5) == "timed_out"
    assert monotonic() - began < 1.7


def test_time_is_bounded_when_the_name_is_not_resolved(monkeypatch, opened):
    never = Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [never.wait(5)][:0])
    began = monotonic()
    assert code_of("https://hooks.example.org", seconds=0.2) == "timed_out"
    assert monotonic() - began < 1.2
    never.set()


def test_nobody_there(opened):
    with listening() as gone:
        url = gone.url()
    assert code_of(url) == "connection_failed"


def test_unknown_name(names, opened):
    names["hooks.example.org"] = ["no.such.name.invalid"]
    assert code_of("https://hooks.example.org") == "name_unknown"


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_own_machine_is_not_called_however_it_is_written(listener, settings, host):
    settings.OUTGOING_NETWORKS = []
    listener.scheme = "https"
    assert code_of(listener.url(host)) == "address_refused"
    assert listener.asked == []


def test_name_that_lies_is_not_called(listener, names, settings):
    listener.scheme = "https"
    names["hooks.example.org"] = ["127.0.0.1"]
    assert code_of(listener.url("hooks.example.org")) == "address_refused"
    assert listener.asked == []


def test_name_is_resolved_once_and_that_address_is_called(listener, names, opened):
    names["hooks.example.org"] = ["127.0.0.1", "127.0.0.99"]
    assert send(listener.url("hooks.example.org")).status == 200
    assert names == {"hooks.example.org": ["127.0.0.99"]}
    assert listener.asked[0][1]["Host"] == f"hooks.example.org:{listener.port}"


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "ff02::1",
        "::ffff:8.8.8.8",
        "::7f00:1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
    ],
)
def test_address_that_is_not_public_is_refused(address):
    assert not outgoing.may_be_called(ip_address(address), plain=False)


@pytest.mark.parametrize("address", ["8.8.8.8", "192.88.0.1", "2606:4700::1111"])
def test_public_address_may_be_called_but_not_without_tls(address, opened):
    found = [outgoing.may_be_called(ip_address(address), plain=plain) for plain in (False, True)]
    assert found == [True, False]


def test_opened_network_is_called_without_tls_only_where_that_is_opened_too(settings):
    settings.OUTGOING_NETWORKS, settings.OUTGOING_HTTP = ["10.1.0.0/16"], False
    closed = [outgoing.may_be_called(ip_address("10.1.2.3"), plain=plain) for plain in (False, True)]
    settings.OUTGOING_HTTP = True
    assert closed == [True, False]
    assert outgoing.may_be_called(ip_address("10.1.2.3"), plain=True)
    assert not outgoing.may_be_called(ip_address("10.2.2.3"), plain=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.org",
        "ftp://hooks.example.org",
        "http://hooks.example.org",
        "https://",
        "https://user:word@hooks.example.org",
        "https://hooks.example.org/#top",
        "https://hooks.example.org:0/",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org/a b",
        "https://hooks.example.org/\r\nX: y",
        "https://[fe80::1%25eth0]/",
        "https://192.168.0.1/",
        "https://hooks.example.org/" + "a" * 500,
    ],
)
def test_address_that_could_never_be_called_is_refused(url):
    assert code_of_refusal(outgoing.check_url, url) == "address_invalid"


def test_addresses_that_are_taken():
    for url in ("https://hooks.example.org", "https://hooks.example.org:8443/pim?key=1", "https://8.8.8.8/"):
        outgoing.check_url(url)


def test_tls_is_verified(tmp_path, settings, monkeypatch):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    file, context = certificate(tmp_path, name="127.0.0.1")
    with listening(context) as listener:
        assert code_of(listener.url()) == "tls_failed"
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert send(listener.url()) == Answer(200, b"{}")


def test_certificate_of_another_name_is_refused(tmp_path, settings, names, monkeypatch):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    file, context = certificate(tmp_path, name="other.example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    names |= {"hooks.example.org": ["127.0.0.1"], "other.example.org": ["127.0.0.1"]}
    with listening(context) as listener:
        assert code_of(listener.url("hooks.example.org")) == "tls_failed"
        assert send(listener.url("other.example.org")).status == 200
