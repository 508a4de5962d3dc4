"""What is there from the first migration on: the root of the tree and the roles that run this product."""

from django.contrib.auth.models import Permission
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from .models import ApprovalStage, Resource, Role, RoleSettings

_READS = ("view_", "export_")
# What each built-in role may do in this site. "*" is everything.
RIGHTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    Role.GLOBAL_ADMINISTRATOR: ("Global Administrator", "May do everything in this site.", ("*",)),
    Role.PRIVILEGED_ROLE_ADMINISTRATOR: (
        "Privileged Role Administrator",
        "Manages roles, settings, assignments and protected groups.",
        (
            *(f"accounts.{name}" for name in ("view_user", "view_group", "add_group", "change_group")),
            "accounts.change_protected_group",
            "accounts.disable_user",
            "accounts.enrol_user",
            "accounts.enrol_privileged_user",
            "roles.*",
            "assignments.*",
            "approvals.*",
            "webhooks.*",
            "reviews.*",
            "alerts.*",
            "audit.view_event",
        ),
    ),
    Role.HELPDESK_ADMINISTRATOR: (
        "Helpdesk Administrator",
        "Manages people and groups, makes people eligible for roles that are not privileged, ends activations.",
        (
            *(f"accounts.{act}_{thing}" for act in ("view", "add", "change") for thing in ("user", "group")),
            "accounts.disable_user",
            "accounts.enrol_user",
            "roles.view_resource",
            "roles.view_role",
            "roles.view_rolesettings",
            "assignments.view_eligibleassignment",
            "assignments.view_activeassignment",
            "assignments.assign_ordinary_eligible",
            "assignments.end_activation",
            "approvals.view_request",
            "approvals.cancel_request",
            "notifications.view_message",
        ),
    ),
    Role.SECURITY_READER: ("Security Reader", "Sees everything, audit and exports included; changes nothing.", _READS),
}
# Whose powers could be turned against the organisation.
PRIVILEGED = (Role.GLOBAL_ADMINISTRATOR, Role.PRIVILEGED_ROLE_ADMINISTRATOR, Role.HELPDESK_ADMINISTRATOR)
OUR_APPS = (
    "accounts",
    "roles",
    "assignments",
    "approvals",
    "reviews",
    "alerts",
    "notifications",
    "audit",
    "webhooks",
    "pim_site",
)


@transaction.atomic
def install() -> None:
    """Make the root and the built-in roles if they are missing, and give each its present rights. Repeatable."""
    root, _made = Resource.objects.get_or_create(
        parent=None, defaults={"kind": Resource.Kind.ORGANISATION, "name": "Organisation", "path": "/", "label": "/"}
    )
    for key, (name, description, rights) in RIGHTS.items():
        role, _made = Role.objects.get_or_create(
            built_in_key=key,
            defaults={
                "resource": root,
                "name": name,
                "description": description,
                "is_privileged": key in PRIVILEGED,
            },
        )
        settings, _made = RoleSettings.objects.get_or_create(
            role=role, scope=root, superseded_at=None, defaults={"created_at": now()}
        )
        ApprovalStage.objects.get_or_create(settings=settings, number=1)
        role.permissions.set(_permissions(rights))


def rights_of(role: Role) -> list[str]:
    """Return the codenames of what a built-in role gives in this program."""
    return [permission.codename for permission in _permissions(RIGHTS[str(role.built_in_key)][2])]


def _permissions(rights: tuple[str, ...]) -> list[Permission]:
    every = Permission.objects.filter(content_type__app_label__in=OUR_APPS)
    if rights == ("*",):
        return list(every)
    wanted = Q(pk=None)
    for right in rights:
        if right in _READS:
            wanted |= Q(codename__startswith=right)
            continue
        app, codename = right.split(".")
        wanted |= Q(content_type__app_label=app) & (Q() if codename == "*" else Q(codename=codename))
    return list(every.filter(wanted))
