"""How to sign in as the people of the demo: `people.json`, which the start script and the tests read."""

import json
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.timezone import now

from accounts import factors
from accounts.models import ApiToken, TotpDevice, User
from accounts.services import create_token
from accounts.tokens import LONGEST_LIFE, Scope, is_open, is_same, key_of

from .organisation import PASSWORD, PERSONAS


def write() -> Path:
    """Write `people.json`, from what the database holds; return its path."""
    path = Path(settings.DEMO_DIR) / "people.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    people = User.objects.in_bulk(PERSONAS, field_name="username")
    before = json.loads(path.read_text()) if path.exists() else {}
    described_all = {
        name: described(people[name], purpose) | {"token": token_of(people[name], before.get(name, {}))}
        for name, purpose in PERSONAS.items()
    }
    text = json.dumps(described_all, indent=2)
    unfinished = path.with_suffix(".part")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text + "\n")
    unfinished.replace(path)
    return path


def described(person: User, purpose: str) -> dict[str, str]:
    facts = {"username": person.username, "email": person.email, "what for": purpose}
    if not person.is_person:
        return facts
    app = TotpDevice.objects.filter(user=person, confirmed=True).earliest("pk")
    return facts | {
        "password": PASSWORD,
        "otpauth": factors.provisioning_uri(app.encrypted_key, account=person.email),
    }


def token_of(person: User, before: dict[str, Any]) -> str:
    """Return an API token with all scopes: the one that was written before, while it counts, or a new one."""
    kept: str = before.get("token", "")
    token = ApiToken.objects.filter(key=key_of(kept), user=person).first()
    if token and is_same(kept, token.digest) and is_open(token, now()):
        return kept
    return create_token(user=person, actor=None, name="Demo", scopes=Scope.values, lifetime=LONGEST_LIFE)
