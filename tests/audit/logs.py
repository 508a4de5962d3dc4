"""A log with its keys, made once for many tests, and the verifier that shares no line with the product."""

import importlib.util
import json
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, transaction

from audit.checkpoints import line_of
from audit.merkle import Frontier, leaf_hash
from audit.notes import SigningKey, signed
from tests.environment import POSTGRES

SECRET, OTHER_SECRET = ("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=")
ORIGIN = "pim.example.org"

_path = Path(__file__).parents[2] / "verifier/verify_audit.py"
_spec = importlib.util.spec_from_file_location("verify_audit", _path)
offline = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(offline)


def checkpoint_over(records, at, *, origin=ORIGIN, secrets=(SECRET,)):
    """A signed note over these texts."""
    frontier = Frontier.over(leaf_hash(record.encode()) for record in records)
    keys = [SigningKey(origin, secret) for secret in secrets]
    return signed(origin=origin, size=frontier.size, root=frontier.root(), at=at, keys=keys)


def export_of(records, note):
    """The lines of an export, as bytes."""
    events = [f'{{"n":{n},"record":{record}}}\n'.encode() for n, record in enumerate(records, 1)]
    return [*events, line_of(note).encode()]


def offline_keys(*secrets, origin=ORIGIN):
    return [offline.parse_key(str(SigningKey(origin, secret).public)) for secret in secrets or (SECRET,)]


def is_sound(lines, *others, keys=None):
    """What the offline verifier says of an export."""
    try:
        offline.verify_export(lines, keys or offline_keys(), others)
    except offline.Broken:
        return False
    return True


def records(count, text="x"):
    return [json.dumps({"action": "role.created", "ticket": f"{text}{n}"}, separators=(",", ":")) for n in range(count)]


@contextmanager
def tampering():
    """What is done in this block meets no trigger, and is undone after it."""
    with transaction.atomic():
        cursor = connection.cursor()
        if POSTGRES:
            cursor.execute("SET LOCAL session_replication_role = replica")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit_%'")
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TRIGGER {name}")
        yield
        transaction.set_rollback(True)
