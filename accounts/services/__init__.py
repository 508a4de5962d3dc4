"""Every change to people, groups and factors. Nothing else writes these tables."""

from .people import change_person, create_group, create_person, issue_ticket, update_group, withdraw_weak_tickets
from .sign_in import check_password, sign_in, sign_out
from .step_up import (
    add_app,
    change_password,
    check_new_app,
    consume,
    device_for,
    enrol,
    open_ticket,
    prove,
    remove_app,
    renew_recovery_codes,
    rotate_keys,
)

__all__ = [
    "add_app",
    "change_password",
    "change_person",
    "check_new_app",
    "check_password",
    "consume",
    "create_group",
    "create_person",
    "device_for",
    "enrol",
    "issue_ticket",
    "open_ticket",
    "prove",
    "remove_app",
    "renew_recovery_codes",
    "rotate_keys",
    "sign_in",
    "sign_out",
    "update_group",
    "withdraw_weak_tickets",
]
