"""The pages on which people sign in and look after what they sign in with."""

from .enrolment import enrol
from .mail import mail
from .security import (
    app_add,
    app_remove,
    passkey_add,
    passkey_create,
    passkey_remove,
    passkey_rename,
    password_change,
    recovery_codes_renew,
    security,
    session_end,
    sessions_end,
)
from .sign_in import sign_in, sign_in_code, sign_out
from .tokens import token_add, token_revoke, token_rotate

__all__ = [
    "app_add",
    "app_remove",
    "enrol",
    "mail",
    "passkey_add",
    "passkey_create",
    "passkey_remove",
    "passkey_rename",
    "password_change",
    "recovery_codes_renew",
    "security",
    "session_end",
    "sessions_end",
    "sign_in",
    "sign_in_code",
    "sign_out",
    "token_add",
    "token_revoke",
    "token_rotate",
]
