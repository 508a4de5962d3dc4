"""An authenticator in software: makes passkeys and answers for them, or answers wrongly in one way at a time."""

import json
import secrets
from hashlib import sha256

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from accounts import services
from accounts.models import Passkey
from accounts.passkeys import Asked

ORIGIN = "http://localhost:8000"
PRESENT, VERIFIED, SYNCED, ATTESTED = 0x01, 0x04, 0x18, 0x40


class SoftKey:
    """One passkey, which counts its uses from 1 unless it is a synced one."""

    def __init__(self, *, synced=False):
        self.key, self.id = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(32)
        self.synced, self.count = synced, 0

    @property
    def name(self):
        return bytes_to_base64url(self.id)

    @property
    def cose(self):
        point = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)})

    def make(self, options, **differs):
        """The browser's answer to a request for a new passkey."""
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + self.cose
        differs = {"rp": options["rp"]["id"], "flags": self.flags | ATTESTED, "kind": "webauthn.create"} | differs
        client, data = self._parts(options["challenge"], **differs)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data + attested})
        return self._answer(clientDataJSON=client, attestationObject=attestation, transports=["internal", "unheard-of"])

    def sign(self, options, **differs):
        """The browser's answer to a request for a signature."""
        differs = {"rp": options["rpId"], "flags": self.flags, "kind": "webauthn.get"} | differs
        client, data = self._parts(options["challenge"], **differs)
        signature = self.key.sign(data + sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(clientDataJSON=client, authenticatorData=data, signature=signature)

    @property
    def flags(self):
        return PRESENT | VERIFIED | (SYNCED if self.synced else 0)

    def _parts(self, challenge, *, rp, flags, kind, origin=ORIGIN, count=None, **client):
        self.count += not self.synced
        told = {"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False} | client
        count = self.count if count is None else count
        return json.dumps(told).encode(), sha256(rp.encode()).digest() + bytes([flags]) + count.to_bytes(4)

    def _answer(self, transports=None, **parts):
        response = {name: bytes_to_base64url(part) for name, part in parts.items()}
        response |= {"transports": transports} if transports else {}
        return json.dumps({"id": self.name, "rawId": self.name, "type": "public-key", "response": response})


def passkey_of(user, *, name="Laptop", **kwargs):
    """A passkey of `user` as the site keeps it, and the key that answers for it."""
    key = SoftKey(**kwargs)
    row = Passkey.objects.create(
        user=user, name=name, credential_id=key.name, public_key=key.cose, is_synced=key.synced
    )
    return row, key


def asked(user, *, session, intent):
    """What the browser of `user` is asked to have signed."""
    with pytest.raises(Asked) as question:
        services.prove(user=user, session=session, intent=intent, passkey=services.ASK)
    return question.value.options


def altered(answer, **response):
    """The answer with other parts in it."""
    read = json.loads(answer)
    read["response"] |= response
    return json.dumps(read)


def unpacked(answer, part):
    return base64url_to_bytes(json.loads(answer)["response"][part])
