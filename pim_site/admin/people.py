"""People and groups."""

import zoneinfo
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.links import link as link_to_page
from accounts.models import EnrolmentTicket, Group, User, default_zone
from accounts.rules import intent_digest
from accounts.services import create_group, create_person
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.services import disable_person, enable_person, issue_enrolment, update_group, update_person
from audit.models import Event
from pim_site.templatetags.pim import dot, duration, moment

from .assignments import assign_links, assignment_row
from .base import Act, Button, Section, ServiceAdmin, link, list_of
from .forms import ProvedReasonForm, ServiceForm
from .imports import ImportsRows
from .requests import request_row

SHOWN = 10
RECENT = timedelta(days=30)


def what_disabling_does(user: User) -> Iterator[str]:
    yield _("%(user)s cannot sign in any more, and is signed out at once.") % {"user": user}
    held = ActiveAssignment.objects.lasting(now()).of(user).described()
    for active in held:
        yield _("%(role)s at %(scope)s ends at once.") % {"role": active.role, "scope": active.scope}
    yield _("What %(user)s is eligible for stays, for the day when the account is enabled again.") % {"user": user}


def what_enabling_does(user: User) -> Iterator[str]:
    yield _("%(user)s can sign in again.") % {"user": user}
    yield _("Eligible assignments that still run can be activated. Nothing becomes active by itself.")


def what_enrolment_does(user: User) -> Iterator[str]:
    yield _("A link is made that works once, within %(time)s. It is shown once, on the next page.") % {
        "time": duration(EnrolmentTicket.LIFETIME)
    }
    yield _("Whoever opens it sets the password and the authenticator app of %(user)s: hand it to nobody else.") % {
        "user": user
    }
    yield _(
        "Password, authenticator apps, passkeys and recovery codes used so far are replaced. Earlier links end now."
    )


def issue_link(user: User, **facts: Any) -> dict[str, Any]:
    secret = issue_enrolment(user=user, **facts)
    return {"link": secret and link_to_page("accounts:enrol", secret), "valid_for": EnrolmentTicket.LIFETIME}


class PersonForm(ServiceForm):
    time_zone = forms.TypedChoiceField(
        label=gettext_lazy("Time zone"),
        initial=default_zone,
        choices=[(name, name.replace("_", " ")) for name in sorted(zoneinfo.available_timezones())],
        help_text=gettext_lazy("Times on pages and in mails are shown in it. Example: Europe/Berlin."),
    )

    class Meta:
        help_texts = {
            "username": gettext_lazy("What the person signs in with. Example: mara.lindt"),
            "display_name": gettext_lazy("What others read. Example: Mara Lindt"),
            "kind": gettext_lazy("A service account signs in by API token only, is never eligible and never approves."),
            "manager": gettext_lazy("The person to whom this one reports."),
        }


@admin.register(User)
class PersonAdmin(ImportsRows, ServiceAdmin):
    imports = "people"
    import_permissions = ("accounts.add_user",)
    form = PersonForm
    list_display = ["display_name", "username", "email", "kind", "enabled", "manager", "signed_in"]
    list_filter = ["is_active", "kind", "is_emergency_access"]
    list_select_related = ["manager"]
    search_fields = ["display_name", "username", "email"]
    autocomplete_fields = ["manager"]
    acts = (
        Act(
            slug="enrol",
            label=gettext_lazy("Issue enrolment link"),
            permissions=("accounts.enrol_user", "accounts.enrol_privileged_user"),
            offered=lambda user, at: user.is_active and user.is_person,
            says=what_enrolment_does,
            does=issue_link,
            done=lambda user: _("A link was issued for %(user)s.") % {"user": user},
            form=ProvedReasonForm,
            intent=lambda user, **facts: intent_digest("enrolment.issued", person=user.pk, **facts),
            result_template="admin/enrolment_link.html",
        ),
        Act(
            slug="disable",
            label=gettext_lazy("Disable"),
            permissions=("accounts.disable_user",),
            offered=lambda user, at: user.is_active,
            says=what_disabling_does,
            does=lambda user, **facts: disable_person(user=user, **facts),
            done=lambda user: _("%(user)s is disabled, and holds nothing any more.") % {"user": user},
            danger=True,
        ),
        Act(
            slug="enable",
            label=gettext_lazy("Enable"),
            permissions=("accounts.disable_user",),
            offered=lambda user, at: not user.is_active,
            says=what_enabling_does,
            does=lambda user, **facts: enable_person(user=user, **facts),
            done=lambda user: _("%(user)s is enabled.") % {"user": user},
        ),
    )

    @admin.display(description=gettext_lazy("state"), ordering="is_active")
    def enabled(self, user: User) -> SafeString:
        return dot("active", _("Enabled")) if user.is_active else dot("disabled")

    @admin.display(description=gettext_lazy("last sign-in"), ordering="last_sign_in_at")
    def signed_in(self, user: User) -> SafeString:
        return moment(user.last_sign_in_at)

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = ["username", "display_name", "email", "kind", "manager", "time_zone", "is_emergency_access"]
        return [*fields, "enabled", "signed_in"] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Only those who give out roles say who is an emergency person; what a row is, it stays."""
        user, fixed = request.user, ["kind", "enabled", "signed_in"] if obj else []
        return fixed if user.has_perm("accounts.enrol_privileged_user") else [*fixed, "is_emergency_access"]

    def create(self, actor: User, values: dict[str, Any]) -> User:
        return create_person(actor=actor, **values)

    def update(self, row: User, actor: User, values: dict[str, Any]) -> User:
        return update_person(user=row, actor=actor, **values)

    def links(self, request: HttpRequest, row: User) -> list[Button]:
        kinds = ["eligible", "active"] if row.is_person else ["active"]
        return assign_links(request, kinds, user=row.pk)

    def sections(self, request: HttpRequest, row: User) -> list[Section]:
        may = request.user.has_perm
        shown = [
            eligible_section(row) if may("assignments.view_eligibleassignment") else None,
            active_section(row) if may("assignments.view_activeassignment") else None,
            request_section(row) if may("approvals.view_request") else None,
            event_section(row) if may("audit.view_event") else None,
        ]
        return [section for section in shown if section]


def narrowed_to(holder: User | Group) -> dict[str, Any]:
    """Return the query of a list of what this holder has."""
    return {f"{'group' if isinstance(holder, Group) else 'user'}__id__exact": holder.pk}


def eligible_section(holder: User | Group) -> Section:
    rows = EligibleAssignment.objects.lasting(now()).of(holder).described()[:SHOWN]
    heads = [_("Role"), _("Scope"), _("Start"), _("End"), _("State")]
    more = list_of(EligibleAssignment, **narrowed_to(holder))
    return Section(_("Eligible for"), heads, [assignment_row(row, row.role) for row in rows], more)


def active_section(holder: User | Group) -> Section:
    rows = ActiveAssignment.objects.of(holder).described().exclude(ended_at__lt=now() - RECENT)[:SHOWN]
    heads = [_("Role"), _("Scope"), _("Start"), _("End"), _("State")]
    more = list_of(ActiveAssignment, **narrowed_to(holder))
    return Section(_("Active now and lately"), heads, [assignment_row(row, row.role) for row in rows], more)


def request_section(user: User) -> Section:
    rows = Request.objects.filter(user=user).described()[:SHOWN]
    heads = [_("Request"), _("Role"), _("What"), _("Asked"), _("Status")]
    more = list_of(Request, user__id__exact=user.pk)
    return Section(_("Requests"), heads, [request_row(row) for row in rows], more)


def event_section(user: User) -> Section:
    rows = Event.objects.filter(subject_id=user.pk)[:SHOWN]
    heads = [_("At"), _("What"), _("By"), _("Outcome")]
    cells = [[link(event, moment(event.at)), event.action, event.actor_label, dot(event.outcome)] for event in rows]
    return Section(_("Audit"), heads, cells, list_of(Event, subject_id=user.pk))


class GroupForm(ServiceForm):
    class Meta:
        help_texts = {
            "name": gettext_lazy("Example: Database on-call"),
            "description": gettext_lazy("What the group is for, in a sentence."),
            "owners": gettext_lazy("Who answers for the group. It gives them no right in the console."),
            "members": gettext_lazy("Where the group approves, every enabled member can decide."),
        }


@admin.register(Group)
class GroupAdmin(ImportsRows, ServiceAdmin):
    imports = "groups"
    import_permissions = ("accounts.add_group",)
    form = GroupForm
    list_display = ["name", "is_protected", "people", "description"]
    list_filter = ["is_protected"]
    search_fields = ["name", "description"]
    autocomplete_fields = ["owners", "members"]
    fields = ["name", "description", "is_protected", "owners", "members"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return cast("QuerySet[Group]", super().get_queryset(request).annotate(people=Count("members")))

    @admin.display(description=gettext_lazy("members"), ordering="people")
    def people(self, group: Any) -> int:
        return int(group.people)

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> list[str]:
        return [] if request.user.has_perm("accounts.change_protected_group") else ["is_protected"]

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """A protected group is shown as it is to those who may not change it."""
        if obj and obj.is_protected and not request.user.has_perm("accounts.change_protected_group"):
            return False
        return super().has_change_permission(request, obj)

    def links(self, request: HttpRequest, row: Group) -> list[Button]:
        return assign_links(request, ["eligible", "active"], group=row.pk)

    def sections(self, request: HttpRequest, row: Group) -> list[Section]:
        may = request.user.has_perm
        shown = [
            eligible_section(row) if may("assignments.view_eligibleassignment") else None,
            active_section(row) if may("assignments.view_activeassignment") else None,
        ]
        return [section for section in shown if section]

    def create(self, actor: User, values: dict[str, Any]) -> Group:
        return create_group(actor=actor, **values)

    def update(self, row: Group, actor: User, values: dict[str, Any]) -> Group:
        return update_group(group=row, actor=actor, **{"is_protected": row.is_protected} | values)
