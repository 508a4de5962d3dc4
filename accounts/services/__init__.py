"""Every change to people, groups and factors. Nothing else writes these tables."""

from .browsers import end_session, end_sessions, is_signed_in, look_at_sign_in, note_sign_in, note_use_of
from .factors import (
    add_app,
    add_passkey,
    change_password,
    check_new_app,
    enrol,
    new_passkey_options,
    open_ticket,
    remove_factor,
    rename_passkey,
    renew_recovery_codes,
    rotate_keys,
)
from .groups import change_group, check_protection, create_group, drop_group, group_facts, joins, own_group
from .people import (
    add_person,
    change_person,
    end_sign_ins,
    issue_ticket,
    lock_people,
    person_facts,
    withdraw_weak_tickets,
)
from .preferences import choose_digests, digest_facts
from .sign_in import check_password, sign_in, sign_out
from .step_up import ASK, consume, prove, prove_each
from .tokens import create_token, note_use, recognise, revoke_token, rotate_token, token_facts

__all__ = [
    "ASK",
    "add_app",
    "add_passkey",
    "add_person",
    "change_group",
    "change_password",
    "change_person",
    "check_new_app",
    "check_password",
    "check_protection",
    "choose_digests",
    "consume",
    "create_group",
    "create_token",
    "digest_facts",
    "drop_group",
    "end_session",
    "end_sessions",
    "end_sign_ins",
    "enrol",
    "group_facts",
    "is_signed_in",
    "issue_ticket",
    "joins",
    "lock_people",
    "look_at_sign_in",
    "new_passkey_options",
    "note_sign_in",
    "note_use",
    "note_use_of",
    "open_ticket",
    "own_group",
    "person_facts",
    "prove",
    "prove_each",
    "recognise",
    "remove_factor",
    "rename_passkey",
    "renew_recovery_codes",
    "revoke_token",
    "rotate_keys",
    "rotate_token",
    "sign_in",
    "sign_out",
    "token_facts",
    "withdraw_weak_tickets",
]
