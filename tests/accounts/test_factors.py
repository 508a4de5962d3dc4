import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from cryptography.fernet import Fernet, InvalidToken

from accounts import factors, vault

AT = datetime(2026, 11, 21, 18, 40, 10, tzinfo=UTC)
STEP = int(AT.timestamp()) // 30


@pytest.fixture(scope="module")
def key():
    return factors.new_key()


def code(key, steps=0):
    return pyotp.TOTP(factors.shown_key(key)).at(AT + timedelta(seconds=30 * steps))


@pytest.mark.parametrize(("steps", "accepted"), [(-2, None), (-1, STEP - 1), (0, STEP), (1, STEP + 1), (2, None)])
def test_accepted_step_tolerates_one_step_each_way(key, steps, accepted):
    assert factors.accepted_step(key, code(key, steps), after=-1, at=AT) == accepted


@pytest.mark.parametrize(("after", "accepted"), [(STEP - 1, STEP), (STEP, None), (STEP + 1, None)])
def test_accepted_step_is_later_than_the_last(key, after, accepted):
    assert factors.accepted_step(key, code(key), after=after, at=AT) == accepted


def test_accepted_step_of_another_key_is_none(key):
    assert factors.accepted_step(factors.new_key(), code(key), after=-1, at=AT) is None


def test_code_agrees_with_rfc_6238(settings):
    vault = Fernet(settings.FACTOR_KEYS[0])
    encrypted = vault.encrypt(b"12345678901234567890").decode()
    at = datetime(2005, 3, 18, 1, 58, 29, tzinfo=UTC)  # RFC 6238, appendix B: 07081804, of which six digits are taken
    assert factors.accepted_step(encrypted, "081804", after=-1, at=at) == 1111111109 // 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("123456", True),
        ("123 456", True),
        ("12-34-56", True),
        (" 123456\n", True),
        ("12345", False),
        ("1234567", False),
        ("+12345", False),
        ("12345_6", False),
        ("١٢٣٤٥٦", False),
        ("１２３４５６", False),
        ("12345a", False),
        ("", False),
        ("\x00123456", False),
    ],
)
def test_is_time_based(text, expected):
    assert factors.is_time_based(text) is expected


def test_key_is_random_encrypted_and_readable_again(key):
    assert factors.new_key() != key
    assert re.fullmatch(r"[A-Z2-7]{32}", factors.shown_key(key))
    assert factors.shown_key(key) not in key


def test_key_is_lost_without_the_key_outside_the_database(key, settings):
    settings.FACTOR_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(InvalidToken):
        factors.shown_key(key)


def test_reencrypted_key_needs_only_the_newest_key(key, settings):
    shown, newest = factors.shown_key(key), Fernet.generate_key().decode()
    settings.FACTOR_KEYS = [newest, *settings.FACTOR_KEYS]
    again = vault.resealed(key)
    settings.FACTOR_KEYS = [newest]
    assert factors.shown_key(again) == shown


def test_provisioning_uri_says_all_that_an_app_needs(key, settings):
    settings.OTP_TOTP_ISSUER = "PIM: North"
    address = urlsplit(factors.provisioning_uri(key, account="ana@example.org"))
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/PIM%20North:ana%40example.org")
    assert parse_qs(address.query) == {
        "secret": [factors.shown_key(key)],
        "issuer": ["PIM North"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }


def test_recovery_codes_are_ten_different_ones_without_misread_letters():
    codes = factors.new_recovery_codes()
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([abcdefghjkmnp-z2-9]{4}-){3}[abcdefghjkmnp-z2-9]{4}", code) for code in codes)
    assert not any(factors.is_time_based(code) for code in codes)


@pytest.mark.parametrize("typed", ["abcd-efgh-jkmn-pqrs", "ABCD EFGH JKMN PQRS", "abcdefghjkmnpqrs", "abcd–efgh"])
def test_plain_is_what_is_compared(typed):
    assert factors.plain(typed) == typed.replace("-", "").replace(" ", "").lower()


def test_digest_takes_half_a_surrogate_pair():
    assert factors.digest("\ud800") == factors.digest("?")
    assert factors.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
