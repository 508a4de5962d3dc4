from base64 import b64encode
from datetime import UTC, datetime

import pytest

from audit.notes import Note, NoteRefused, SigningKey, VerifyingKey, opened, signed

from .logs import ORIGIN, OTHER_SECRET, SECRET, offline, offline_keys

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
ROOT = bytes(range(32))
KEY, OTHER = SigningKey(ORIGIN, SECRET), SigningKey(ORIGIN, OTHER_SECRET)


def note(*keys, origin=ORIGIN, size=7):
    return signed(origin=origin, size=size, root=ROOT, at=AT, keys=keys or [KEY])


def open_with(text, *keys, origin=ORIGIN):
    return opened(text, origin=origin, keys=[key.public for key in keys or [KEY]])


def test_note_is_the_text_that_other_logs_use():
    text, gap, signature = note().partition("\n\n")
    assert text == f"{ORIGIN}\n7\n{b64encode(ROOT).decode()}\ntime 2026-11-22T08:00:00.000000Z"
    assert gap
    assert signature.startswith(f"\u2014 {ORIGIN} ")


def test_both_implementations_read_the_same():
    assert open_with(note()) == Note(ORIGIN, 7, ROOT, "2026-11-22T08:00:00.000000Z")
    assert offline.open_note(note(), offline_keys()) == (7, ROOT)


def test_key_is_written_and_read():
    assert VerifyingKey.of(str(KEY.public)) == KEY.public
    name, id_, key = offline.parse_key(str(KEY.public))
    assert (name, id_, key) == (ORIGIN, KEY.public.id, KEY.public.raw)


@pytest.mark.parametrize("text", ["", "a+b", "a+00000000+AQ==", "é", f"{ORIGIN}+00000000+{'A' * 44}"])
def test_mistyped_key_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds)
        VerifyingKey.of(text)
    with pytest.raises(offline.Unreadable):
        offline.parse_key(text)


@pytest.mark.parametrize("secret", ["", "AAAA", "not base64 at all"])
def test_key_of_the_wrong_length_is_refused(secret):
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds)
        SigningKey(ORIGIN, secret)


def test_note_of_both_keys_is_good_for_who_knows_either():
    both = note(OTHER, KEY)
    assert open_with(both) == open_with(both, OTHER)
    assert offline.open_note(both, offline_keys()) == offline.open_note(both, offline_keys(OTHER_SECRET))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (note(OTHER), "No key"),
        (note(SigningKey("other.example.org", SECRET), origin="other.example.org"), "another site"),
        (note().replace("\n7\n", "\n8\n"), "signature"),
        (note().rpartition("\n")[0], "missing"),
        (note().partition("\n\n")[0] + "\n", "missing"),
        (note() + "and more\n", "torn"),
        ("", "missing"),
    ],
    ids=["key", "site", "changed", "cut", "unsigned", "longer", "empty"],
)
def test_bad_note_is_refused_in_clear_words(text, words):
    with pytest.raises(NoteRefused, match=words):
        open_with(text)
    with pytest.raises(offline.Broken):
        offline.open_note(text, offline_keys())


def test_every_changed_bit_of_a_note_is_seen():
    whole = note().encode()
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        text = bytes(changed).decode(errors="replace")
        with pytest.raises(NoteRefused):
            open_with(text)


# RFC 8032, section 7.1, tests 1 to 3: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize("vector", VECTORS, ids=["empty", "one byte", "two bytes"])
def test_offline_signatures_are_those_of_the_standard(vector):
    key, message, signature = map(bytes.fromhex, vector)
    assert offline.signed_by(key, message, signature)
    assert not offline.signed_by(key, message + b"x", signature)
    assert not offline.signed_by(key, message, signature[:32] + bytes(32))
    assert not offline.signed_by(key, message, signature[:-1])
    order = int.from_bytes(signature[32:], "little") + offline.L
    assert not offline.signed_by(key, message, signature[:32] + order.to_bytes(32, "little"))
