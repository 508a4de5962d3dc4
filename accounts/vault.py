"""Secrets that must be read again are encrypted at rest, with keys that are not in the database (PIM_FACTOR_KEYS)."""

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.FACTOR_KEYS])


def sealed(secret: bytes) -> str:
    """Return `secret` encrypted with the newest key, as text for a column."""
    return _keys().encrypt(secret).decode()


def opened(text: str) -> bytes:
    """Return the secret that `sealed` took. Raises cryptography.fernet.InvalidToken without its key."""
    return _keys().decrypt(text)


def resealed(text: str) -> str:
    """Return the same secret encrypted with the newest of the configured keys."""
    return _keys().rotate(text).decode()
