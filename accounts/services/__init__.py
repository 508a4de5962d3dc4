"""Every change to people, groups and factors. Nothing else writes these tables."""

from .factors import (
    add_app,
    add_passkey,
    change_password,
    check_new_app,
    enrol,
    new_passkey_options,
    open_ticket,
    remove_factor,
    renew_recovery_codes,
    rotate_keys,
)
from .people import change_person, create_group, create_person, issue_ticket, update_group, withdraw_weak_tickets
from .sign_in import check_password, sign_in, sign_out
from .step_up import ASK, consume, prove

__all__ = [
    "ASK",
    "add_app",
    "add_passkey",
    "change_password",
    "change_person",
    "check_new_app",
    "check_password",
    "consume",
    "create_group",
    "create_person",
    "enrol",
    "issue_ticket",
    "new_passkey_options",
    "open_ticket",
    "prove",
    "remove_factor",
    "renew_recovery_codes",
    "rotate_keys",
    "sign_in",
    "sign_out",
    "update_group",
    "withdraw_weak_tickets",
]
