"""What the pages show of a new authenticator key."""

from dataclasses import dataclass

import segno

from . import factors


@dataclass(frozen=True)
class NewKey:
    """A key as one sets up an app with it: by camera, by hand, or by a link on the same device."""

    encrypted: str
    uri: str
    image: str
    text: str


def new_key_shown(encrypted_key: str, *, account: str) -> NewKey:
    """Return `encrypted_key` as a page shows it; `account` is the name that the app will list it under."""
    uri = factors.provisioning_uri(encrypted_key, account=account)
    key = factors.shown_key(encrypted_key)
    groups = " ".join(key[i : i + 4] for i in range(0, len(key), 4))
    return NewKey(encrypted_key, uri, segno.make(uri, error="m", micro=False).svg_data_uri(scale=5, border=2), groups)
