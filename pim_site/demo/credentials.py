"""How to sign in as the people of the demo: `people.json`, which the start script and the tests read."""

import json
import os
from pathlib import Path

from django.conf import settings

from accounts import factors
from accounts.models import TotpDevice, User

from .organisation import PASSWORD, PERSONAS


def write() -> Path:
    """Write `people.json`, from what the database holds; return its path."""
    path = Path(settings.DEMO_DIR) / "people.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    people = User.objects.in_bulk(PERSONAS, field_name="username")
    text = json.dumps({name: described(people[name], purpose) for name, purpose in PERSONAS.items()}, indent=2)
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
