"""People, and what they hold."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.links import link as link_to_page
from accounts.models import EnrolmentTicket, User
from accounts.rules import NotAllowed, intent_digest
from approvals.history import called
from approvals.looking_back import Year
from approvals.models import Request
from assignments.holdings import Holding, active_holdings, eligible_holdings
from assignments.models import ActiveAssignment, EligibleAssignment, groups_of
from assignments.services import create_person, disable_person, enable_person, issue_enrolment, update_person
from audit.models import Event
from pim_site.templatetags.pim import day, dot, duration, moment, moment_text
from roles.models import Delegation
from roles.services import end_delegation

from .assignments import AssignsMany, assign_links, assignment_row, end_day_of
from .base import Act, Button, Section, ServiceAdmin, link, list_of, page_of
from .forms import ProvedReasonForm, ReasonForm, ServiceForm
from .imports import ImportsRows
from .requests import request_row
from .tokens import TOKEN_ACTS, token_section
from .widgets import ZoneField

SHOWN = 10
# Who holds more than this is looked at in the list.
MOST_HELD = 50
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


def open_delegations(user: User, at: datetime) -> QuerySet[Delegation]:
    return Delegation.objects.concerning(user).lasting(at).select_related("delegator", "delegate")


def what_ending_a_delegation_does(user: User) -> Iterator[str]:
    for row in open_delegations(user, now()):
        names = {"delegate": row.delegate, "delegator": row.delegator, "end": moment_text(row.ends_at)}
        yield _("%(delegate)s decides for %(delegator)s until %(end)s.") % names
    yield _("The one that you choose ends at once, and both people are told by mail. Decisions taken by it stand.")


class EndDelegationForm(ReasonForm):
    """Which of somebody's delegations ends, and why."""

    delegation = forms.ModelChoiceField(Delegation.objects.none(), label=gettext_lazy("Delegation"), empty_label=None)
    field_order = ("delegation", "justification")

    def __init__(self, data: Any = None, *, row: User, actor: User) -> None:
        super().__init__(data)
        self.fields["delegation"].queryset = open_delegations(row, now())  # type: ignore[attr-defined]


class PersonForm(ServiceForm):
    time_zone = ZoneField(
        help_text=gettext_lazy("Times on pages and in mails are shown in it. Example: Europe/Berlin.")
    )

    class Meta:
        help_texts = {
            "username": gettext_lazy("What the person signs in with. Example: mara.lindt"),
            "display_name": gettext_lazy("What others read. Example: Mara Lindt"),
            "kind": gettext_lazy("A service account signs in by API token only, is never eligible and never approves."),
            "manager": gettext_lazy("The person to whom this one reports."),
        }


@admin.register(User)
class PersonAdmin(ImportsRows, AssignsMany, ServiceAdmin):
    holds = "user"
    imports = "people"
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
        Act(
            slug="end-delegation",
            label=gettext_lazy("End a delegation"),
            permissions=("roles.change_rolesettings",),
            offered=lambda user, at: open_delegations(user, at).exists(),
            says=what_ending_a_delegation_does,
            does=lambda user, **facts: end_delegation(**facts),
            done=lambda user: _("The delegation has ended. Both people are told by mail."),
            form=EndDelegationForm,
            asks_of_row=True,
        ),
        *TOKEN_ACTS,
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
        year = [Button(_("Year"), page_of(row, "year"))] if request.user.has_perm("audit.view_event") else []
        return [*assign_links(request, kinds, user=row.pk), *year]

    def get_urls(self) -> list[URLPattern]:
        return [self.page("<path:object_id>/year/", "year", self.year_view), *super().get_urls()]

    @method_decorator(require_safe)
    def year_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what somebody did and what was done about them, by month."""
        row = self.found(request, object_id)
        if not request.user.has_perm("audit.view_event"):
            raise NotAllowed
        context = Year.asked(row, request.GET).context(request.GET.get("page"))
        return self.shown(request, "admin/person_year.html", _("Year"), row=row, **context)

    def sections(self, request: HttpRequest, row: User) -> list[Section]:
        may = request.user.has_perm
        shown = [
            held_section(row) if may("assignments.view_activeassignment") else None,
            eligible_section(row) if may("assignments.view_eligibleassignment") else None,
            past_section(row) if may("assignments.view_activeassignment") else None,
            group_section(row) if may("accounts.view_group") else None,
            delegation_section(row) if may("approvals.view_request") else None,
            token_section(row) if may("accounts.view_user") else None,
            request_section(row) if may("approvals.view_request") else None,
            event_section(row) if may("audit.view_event") else None,
        ]
        return [section for section in shown if section]


def held_section(user: User) -> Section:
    """All that somebody has at this moment, and why."""
    heads = [_("Role"), _("Scope"), _("Why"), _("Start"), _("End")]
    rows = [holding_row(holding) for holding in active_holdings(user, now())]
    more = list_of(ActiveAssignment, user__id__exact=user.pk)
    return Section(_("Holds now"), heads, rows[:MOST_HELD], more)


def eligible_section(user: User) -> Section:
    heads = [_("Role"), _("Scope"), _("Why"), _("Start"), _("End")]
    rows = [holding_row(holding) for holding in eligible_holdings(user, now())]
    more = list_of(EligibleAssignment, user__id__exact=user.pk)
    return Section(_("Can activate"), heads, rows[:MOST_HELD], more)


def holding_row(holding: Holding) -> list[Any]:
    row = holding.assignment
    return [link(row, row.role), row.scope, why(holding), day(row.starts_at), end_day_of(row)]


def why(holding: Holding) -> SafeString | str:
    """Return how somebody came to an assignment: given to them, activated by them, or through a group."""
    own = _("activated") if holding.is_activated else _("direct")
    if holding.group is None:
        return own
    words = {
        (False, False): _("member of {group}"),
        (False, True): _("member of {group} for a time"),
        (True, False): _("activated as a member of {group}"),
        (True, True): _("activated as a member of {group} for a time"),
    }
    return format_html(words[holding.is_activated, holding.for_a_time], group=link(holding.group))


def past_section(user: User) -> Section:
    """What begins later, and what ended lately."""
    at = now()
    rows = ActiveAssignment.objects.of(user).described().filter(Q(starts_at__gt=at) | Q(ended_at__gt=at - RECENT))
    heads = [_("Role"), _("Scope"), _("Start"), _("End"), _("State")]
    more = list_of(ActiveAssignment, user__id__exact=user.pk)
    return Section(
        _("Scheduled, and ended lately"), heads, [assignment_row(row, row.role) for row in rows[:SHOWN]], more
    )


def group_section(user: User) -> Section:
    standing = set(user.member_groups.values_list("pk", flat=True))
    rows = [
        [link(group), _("standing") if group.pk in standing else _("for a time"), group.description]
        for group in groups_of(user, now())[:SHOWN]
    ]
    return Section(_("Member of"), [_("Group"), _("Membership"), _("Description")], rows)


def delegation_section(user: User) -> Section:
    """Who decides in whose place, now, later and lately."""
    at, both = now(), Delegation.objects.concerning(user).select_related("delegator", "delegate")
    heads = [_("For"), _("Decides"), _("Start"), _("End"), _("State")]
    cells = [
        [link(row.delegator), link(row.delegate), moment(row.starts_at), moment(end), dot(row.state(at))]
        for row, end in ((row, row.ended_at or row.ends_at) for row in both[:SHOWN])
    ]
    return Section(_("Delegated decisions"), heads, cells)


def request_section(user: User) -> Section:
    rows = Request.objects.filter(user=user).described()[:SHOWN]
    heads = [_("Request"), _("Role"), _("What"), _("Asked"), _("Status")]
    more = list_of(Request, user__id__exact=user.pk)
    return Section(_("Requests"), heads, [request_row(row) for row in rows], more)


def event_section(user: User) -> Section:
    rows = Event.objects.filter(subject_id=user.pk)[:SHOWN]
    heads = [_("At"), _("What"), _("By"), _("Outcome")]
    cells = [
        [link(event, moment(event.at)), called(event.action), event.actor_label, dot(event.outcome)] for event in rows
    ]
    return Section(_("Audit"), heads, cells, list_of(Event, subject_id=user.pk))
