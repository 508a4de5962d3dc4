"""The keys of checkpoints and the name of the log, from the settings: they are never in the database."""

from django.conf import settings

from audit.notes import SigningKey, VerifyingKey


def origin() -> str:
    name: str = settings.AUDIT_ORIGIN
    return name


def signing_keys() -> list[SigningKey]:
    """Those that sign, newest first; none where none is set. Raises ValueError where one is none."""
    return [SigningKey(origin(), secret) for secret in settings.AUDIT_KEYS]


def verifying_keys() -> list[VerifyingKey]:
    """The public parts of those that sign, and those that signed before. Raises ValueError where one is none."""
    return [key.public for key in signing_keys()] + [VerifyingKey.of(text) for text in settings.AUDIT_OLD_KEYS]
