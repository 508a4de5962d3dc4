"""The buttons on the pages of assignments: other dates, another kind, and the end."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import Group, User
from accounts.rules import intent_digest
from approvals import services
from approvals.services.changing import change_facts
from approvals.services.changing import update as change_dates
from approvals.terms_forms import DatesForm, EndEachForm, ExtendForm, UpdateForm
from assignments.models import AnyAssignment, Assignment, EligibleAssignment, members_of
from assignments.ownership import ASSIGNS
from assignments.rules import can_renew

from .base import Act
from .forms import RemovalForm


def is_open(row: Assignment, at: datetime) -> bool:
    return row.ended_at is None and (row.ends_at is None or row.ends_at > at)


def names(row: Assignment) -> dict[str, Any]:
    return {"user": row.holder, "role": row.role, "scope": row.scope}


def what_hinders_changing(row: Assignment) -> list[str]:
    return [_("This is an activation: open it, and end it there.")] if row.is_activated else []


def who_is_told(holder: User | Group) -> str:
    """Say who hears of it: the holder, or the members, as far as the role's settings want it."""
    if isinstance(holder, User):
        return _("%(user)s and the administrators are told by mail, as far as the role's settings say.") % {
            "user": holder
        }
    count = members_of(holder, now()).count()
    text = ngettext(
        "%(count)d member of %(group)s and the administrators are told by mail, as far as the role's settings say.",
        "%(count)d members of %(group)s and the administrators are told by mail, as far as the role's settings say.",
        count,
    )
    return text % {"count": count, "group": holder}


def what_removing_does(row: Assignment) -> Iterator[str]:
    yield _("%(user)s loses %(role)s at %(scope)s, and is told so by mail.") % names(row)


def what_removing_eligible_does(row: EligibleAssignment) -> Iterator[str]:
    yield _("%(user)s can no longer activate %(role)s at %(scope)s, and is told so by mail.") % names(row)
    for active in row.activations.lasting(now()).described():
        yield _("The activation at %(scope)s ends at once.") % {"scope": active.scope}


def what_dates_do(row: AnyAssignment) -> Iterator[str]:
    yield _("%(user)s keeps %(role)s at %(scope)s, with the dates that you choose.") % names(row)
    if row.noun == "eligible":
        yield _("If it ends sooner, what was activated from it ends with it.")
    yield who_is_told(row.holder)


def what_extending_does(row: AnyAssignment) -> Iterator[str]:
    yield _("%(user)s keeps %(role)s at %(scope)s until a later end.") % names(row)
    yield who_is_told(row.holder)


def what_renewing_does(row: AnyAssignment) -> Iterator[str]:
    yield _("%(user)s gets %(role)s at %(scope)s again. The ended assignment stays in the list as it was.") % names(row)
    yield who_is_told(row.holder)


def what_making_eligible_does(row: Assignment) -> Iterator[str]:
    yield _("%(user)s becomes eligible for %(role)s at %(scope)s, permanently if the settings allow it.") % names(row)
    yield _("The active assignment ends at once: the role must be activated to be used.")
    yield who_is_told(row.holder)


def changed(action: str) -> Callable[..., str]:
    """Return what says which change a proof is for."""
    return lambda row, **facts: intent_digest(action, **change_facts(row, **facts))


def date_acts(kind: str) -> tuple[Act, ...]:
    """Return the acts that give an assignment of this kind other dates."""
    common: dict[str, Any] = {"permissions": ASSIGNS[kind], "asks_of_row": True}
    return (
        Act(
            slug="update",
            label=gettext_lazy("Change dates"),
            offered=lambda row, at: not row.is_activated and is_open(row, at),
            says=what_dates_do,
            does=lambda row, **facts: change_dates(assignment=row, **facts),
            done=lambda row: _("%(role)s of %(user)s has new dates.") % names(row),
            form=UpdateForm,
            intent=changed("assignment.updated"),
            **common,
        ),
        Act(
            slug="extend",
            label=gettext_lazy("Extend"),
            offered=lambda row, at: not row.is_activated and row.ends_at is not None and is_open(row, at),
            says=what_extending_does,
            does=lambda row, **facts: services.extend(assignment=row, **facts),
            done=lambda row: _("%(role)s of %(user)s is extended.") % names(row),
            form=ExtendForm,
            bulk=True,
            bulk_form=EndEachForm,
            hindered=what_hinders_changing,
            intent=changed("assignment.extended"),
            **common,
        ),
        Act(
            slug="renew",
            label=gettext_lazy("Renew"),
            offered=lambda row, at: (
                can_renew(row, at=at) and not row.is_replaced(at) and row.role.is_usable_at(row.scope)
            ),
            says=what_renewing_does,
            does=lambda row, **facts: services.renew(assignment=row, **facts),
            done=lambda row: _("%(role)s of %(user)s is renewed.") % names(row),
            form=DatesForm,
            intent=changed("assignment.renewed"),
            **common,
        ),
    )


def removal(says: Callable[[Any], Iterable[str]], does: Callable[..., Any], done: Callable[[Any], str]) -> Act:
    return Act(
        slug="remove",
        label=gettext_lazy("Remove"),
        permissions=("assignments.remove_assignment",),
        offered=lambda row, at: not row.is_activated and is_open(row, at),
        says=says,
        does=does,
        done=done,
        form=RemovalForm,
        asks_of_row=True,
        danger=True,
        bulk=True,
        hindered=what_hinders_changing,
    )


ELIGIBLE_ACTS = (
    *date_acts("eligible"),
    removal(
        what_removing_eligible_does,
        lambda row, **facts: services.remove_eligible(eligible=row, **facts),
        lambda row: _("%(user)s is no longer eligible for %(role)s.") % names(row),
    ),
)
ACTIVE_ACTS = (
    Act(
        slug="end",
        label=gettext_lazy("End now"),
        permissions=("assignments.end_activation",),
        offered=lambda row, at: row.is_activated and is_open(row, at),
        says=what_removing_does,
        does=lambda row, **facts: services.deactivate(active=row, **facts),
        done=lambda row: _("%(role)s of %(user)s has ended.") % names(row),
        danger=True,
    ),
    *date_acts("active"),
    Act(
        slug="make-eligible",
        label=gettext_lazy("Make eligible instead"),
        permissions=ASSIGNS["eligible"][:1],
        offered=lambda row, at: not row.is_activated and is_open(row, at),
        says=what_making_eligible_does,
        does=lambda row, **facts: services.make_eligible(active=row, **facts),
        done=lambda row: _("%(user)s is eligible for %(role)s now, and holds it no longer.") % names(row),
        form=RemovalForm,
        asks_of_row=True,
        bulk=True,
        hindered=what_hinders_changing,
    ),
    removal(
        what_removing_does,
        lambda row, **facts: services.remove_active(active=row, **facts),
        lambda row: _("%(user)s no longer holds %(role)s.") % names(row),
    ),
)
