"""Groups: who is in them, what they hold, and who may be in them for a time."""

from collections.abc import Iterator
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Group, User
from accounts.services import create_group
from assignments.models import ActiveAssignment, EligibleAssignment, members_of
from assignments.ownership import owned_groups
from assignments.services import delete_group, update_group
from roles.models import Resource, Role
from roles.services import govern_group

from .assignments import AssignsMany, assign_links, assignment_row
from .base import Act, Button, Section, ServiceAdmin, link, list_of, page_of
from .forms import ServiceForm
from .imports import ImportsRows
from .widgets import autocomplete

SHOWN = 20


class GroupForm(ServiceForm):
    class Meta:
        help_texts = {
            "name": gettext_lazy("Example: Database on-call"),
            "description": gettext_lazy("What the group is for, in a sentence."),
            "owners": gettext_lazy("Who answers for the group: they say who is a member, and nothing else."),
            "members": gettext_lazy("Each has what the group holds. Where it approves, each enabled one can decide."),
        }


class GovernForm(forms.Form):
    parent = forms.ModelChoiceField(
        Resource.objects.all(),
        label=gettext_lazy("Beneath (optional)"),
        required=False,
        widget=autocomplete(Resource, "parent"),
        help_text=gettext_lazy("Where the group stands among the resources: the organisation if left empty."),
    )


def place_of(group: Group) -> Resource | None:
    return Resource.objects.filter(group=group).first()


def what_governing_does(group: Group) -> Iterator[str]:
    yield _("%(group)s gets two roles, Member and Owner, each with settings of its own.") % {"group": group}
    yield _("Whoever is made eligible for Member activates it, and has what the group holds for that time.")
    yield _("Standing members and owners stay as they are.")


def what_deleting_does(group: Group) -> Iterator[str]:
    at = now()
    for row in EligibleAssignment.objects.lasting(at).of(group).described():
        names = {"role": row.role, "scope": row.scope}
        yield _("Nobody can activate %(role)s at %(scope)s through it any more; activations end at once.") % names
    for row in ActiveAssignment.objects.lasting(at).of(group).described():
        yield _("Its members lose %(role)s at %(scope)s at once.") % {"role": row.role, "scope": row.scope}
    yield _("The group leaves all lists, and its name is free again. The audit keeps what it was.")


@admin.register(Group)
class GroupAdmin(ImportsRows, AssignsMany, ServiceAdmin):
    holds = "group"
    imports = "groups"
    form = GroupForm
    list_display = ["name", "is_protected", "people", "description"]
    list_filter = ["is_protected"]
    search_fields = ["name", "description"]
    autocomplete_fields = ["owners", "members"]
    fields = ["name", "description", "is_protected", "owners", "members"]
    acts = (
        Act(
            slug="govern",
            label=gettext_lazy("Govern membership"),
            permissions=("roles.add_resource",),
            offered=lambda group, at: place_of(group) is None,
            says=what_governing_does,
            does=lambda group, **facts: govern_group(group=group, **facts),
            done=lambda group: _("Membership of %(group)s can be had for a time now.") % {"group": group},
            form=GovernForm,
        ),
        Act(
            slug="remove",
            label=gettext_lazy("Delete"),
            permissions=("accounts.add_group",),
            offered=lambda group, at: True,
            says=what_deleting_does,
            does=lambda group, **facts: delete_group(group=group, **facts),
            done=lambda group: _("%(group)s is deleted.") % {"group": group},
            danger=True,
            is_the_end=True,
        ),
    )

    def owned(self, user: User) -> Q:
        return Q(pk__in=owned_groups(user, now()).values("pk"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return cast("QuerySet[Group]", super().get_queryset(request).annotate(people=Count("members")))

    @admin.display(description=gettext_lazy("members"), ordering="people")
    def people(self, group: Any) -> int:
        return int(group.people)

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> list[str]:
        """Owners say who is a member; only role administrators say what is protected."""
        if obj and not self._may_change_all(request, obj):
            return ["name", "description", "is_protected", "owners"]
        return [] if request.user.has_perm("accounts.change_protected_group") else ["is_protected"]

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """A protected group is shown as it is to those who may not change it."""
        if obj is None or self._may_change_all(request, obj):
            return super().has_change_permission(request, obj)
        return request.user.has_perm("accounts.change_group", obj)

    def _may_change_all(self, request: HttpRequest, group: Group) -> bool:
        may = request.user.has_perm
        return may("accounts.change_group") and (not group.is_protected or may("accounts.change_protected_group"))

    def links(self, request: HttpRequest, row: Group) -> list[Button]:
        place = place_of(row)
        governed = [Button(_("Settings of membership"), page_of(part)) for part in _parts(place)[:1]] if place else []
        return [*governed, *assign_links(request, ["eligible", "active"], group=row.pk)]

    def sections(self, request: HttpRequest, row: Group) -> list[Section]:
        may, at = request.user.has_perm, now()
        own = may("accounts.change_group", row)
        kinds: list[tuple[Any, str, str, str]] = [
            (EligibleAssignment, _("Can activate"), _("Can become"), "assignments.view_eligibleassignment"),
            (ActiveAssignment, _("Holds"), _("Are for a time"), "assignments.view_activeassignment"),
        ]
        shown = []
        for model, holds, people, permission in kinds:
            if may(permission):
                shown.append(held_section(holds, model.objects.lasting(at), row))
            if place_of(row) and (own or may(permission)):
                shown.append(part_section(people, model.objects.lasting(at), row))
        return [*shown, member_section(row)] if may("accounts.view_user") else shown

    def create(self, actor: User, values: dict[str, Any]) -> Group:
        return create_group(actor=actor, **values)

    def update(self, row: Group, actor: User, values: dict[str, Any]) -> Group:
        """What the form does not ask for stays."""
        kept = {name: getattr(row, name) for name in ("name", "description", "is_protected")}
        people = {"owners": list(row.owners.all()), "members": list(row.members.all())}
        return update_group(group=row, actor=actor, **kept | people | values)


def _parts(place: Resource) -> QuerySet[Role]:
    return Role.objects.filter(resource=place).exclude(group_part="").order_by("group_part")


def held_section(title: str, rows: Any, group: Group) -> Section:
    """What the group holds: each member has it, or activates it."""
    heads = [_("Role"), _("Scope"), _("Start"), _("End"), _("State")]
    cells = [assignment_row(row, row.role) for row in rows.of(group).described()[:SHOWN]]
    return Section(title, heads, cells, list_of(rows.model, group__id__exact=group.pk))


def part_section(title: str, rows: Any, group: Group) -> Section:
    """Who is, or can become, a member or an owner for a time."""
    heads = [_("Person"), _("As"), _("Start"), _("End"), _("State")]
    its = rows.filter(role__resource__group=group).exclude(role__group_part="").described()[:SHOWN]
    cells = [[link(row, row.holder), row.role, *assignment_row(row, row.role)[2:]] for row in its]
    return Section(title, heads, cells)


def member_section(group: Group) -> Section:
    """All who are members at this moment, with the way to the page of each."""
    standing = set(group.members.values_list("pk", flat=True))
    people = members_of(group, now()).order_by("display_name")[:SHOWN]
    cells = [[link(user), _("standing") if user.pk in standing else _("for a time")] for user in people]
    return Section(_("Members now"), [_("Person"), _("Membership")], cells)
