"""What putting a file in force does: the same services, all or nothing, and nothing twice."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts.models import Group, User
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.services import delete_group
from audit.models import Event
from pim_site.ascode.document import FileRefused
from pim_site.ascode.present import export
from pim_site.ascode.reading import read
from pim_site.ascode.services import apply, plan
from roles.hooks import Hook
from roles.models import Resource, Role, RoleSettings
from roles.services import save_settings
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    root,
)
from tests.refusals import refused, snapshot

pytestmark = pytest.mark.django_db
OF_THE_DEMO = pytest.mark.xdist_group("demo")  # its file is made once, by one process


READER = "  - resource: /\n    name: Reader\n    settings:\n      activation_authentication: none\n"


def document(text):
    return read(text.encode())


def done(text, **options):
    return [
        (change.verb, change.section, change.name)
        for change in apply(actor=None, document=document(text), **options).changes
    ]


def refusals(text, **options):
    """What a file is refused for; nothing but the mark of that is left."""
    with refused("file_refused") as refusal:
        apply(actor=None, document=document(text), **options)
    return [tuple(fault) for fault in refusal.value.faults]


@OF_THE_DEMO
def test_export_import_export_is_the_same_file(demo_file):
    apply(actor=None, document=document(demo_file))
    assert export() == demo_file


@OF_THE_DEMO
def test_second_import_changes_nothing(demo_file):
    apply(actor=None, document=document(demo_file))
    before = snapshot()

    assert apply(actor=None, document=document(demo_file), prune=True).changes == []
    assert snapshot() == before


@OF_THE_DEMO
def test_plan_says_what_apply_does_and_changes_nothing(demo_file):
    before = snapshot()
    planned = plan(document=document(demo_file))

    assert snapshot() == before
    assert apply(actor=None, document=document(demo_file)) == planned


def test_assignments_are_requests_with_events():
    role = RoleFactory(name="Reader")
    UserFactory(username="ada")

    done("version: 1\neligible:\n  - role: Reader\n    resource: /\n    user: ada\n")

    request = Request.objects.get()
    assert (request.action, request.status, request.role, request.requester) == (
        "admin_assign",
        "provisioned",
        role,
        None,
    )
    events = Event.objects.order_by("id").values_list("action", "actor_label")
    assert list(events) == [("eligible.assigned", "System"), ("organisation.imported", "System")]


FILE = """\
version: 1
people:
  - username: ada
    name: Ada
    email: ada@example.org
  - username: bo
    name: Bo
    email: bo@example.org
    manager: ada
    enabled: false
groups:
  - name: Keepers
    protected: true
    members: [ada]
resources:
  - path: /Finance/Ledger
    kind: application
  - path: /Finance
    kind: unit
roles:
  - resource: /Finance
    name: Keeper
    privileged: true
    settings:
      approval_required: true
      stages:
        - approver_groups: [Keepers]
          timeout: 4h
        - asks_manager: true
    overrides:
      - scope: /Finance/Ledger
        activation_max_duration: 1h
eligible:
  - role: Keeper
    resource: /Finance
    user: bo
active:
  - role: Keeper
    resource: /Finance
    scope: /Finance/Ledger
    group: Keepers
    ends_at: 2100-01-01 00:00:00+00:00
"""


def test_file_in_any_order_is_put_in_force():
    text = FILE.replace("2100", str(now().year + 1))

    assert done(text) == [
        ("create", "people", "ada"),
        ("create", "people", "bo"),
        ("create", "groups", "Keepers"),
        ("create", "resources", "/Finance"),
        ("create", "resources", "/Finance/Ledger"),
        ("create", "roles", "Keeper (/Finance)"),
        ("create", "eligible", "Keeper (/Finance) of bo"),
        ("create", "active", "Keeper (/Finance/Ledger) of Keepers"),
    ]
    bo = User.objects.get(username="bo")
    assert (bo.manager.username, bo.is_active) == ("ada", False)
    ledger = Resource.objects.get(name="Ledger")
    settings = RoleSettings.objects.applying_to(Role.objects.get(name="Keeper"), ledger)[0]
    assert (settings.approval_required, settings.activation_max_duration) == (True, timedelta(hours=1))
    assert ActiveAssignment.objects.get().holder == Group.objects.get()


def test_change_is_shown_value_by_value():
    RoleFactory(name="Reader", settings__activation_authentication="mfa")
    GroupFactory(name="Keepers", members=[UserFactory(username="ada")])
    UserFactory(username="bo")

    planned = plan(
        document=document(
            "version: 1\n"
            "groups:\n  - name: Keepers\n    protected: true\n    members: [bo]\n"
            "roles:\n  - resource: /\n    name: Reader\n    settings:\n      ticket_required: true\n"
        )
    )

    assert [str(change) for change in planned.changes] == [
        "change group Keepers (line 3)\n    members: added bo; removed ada",
        "change role Reader (/) (line 7)\n    settings.ticket_required: false → true",
    ]


def test_wrong_entries_are_refused_together_and_nothing_is_done():
    RoleFactory(name="Reader", settings__permanent_eligible_allowed=False)
    UserFactory(username="ada")

    assert refusals(
        "version: 1\n"
        "resources:\n  - path: /New\n"
        "eligible:\n"
        "  - role: Reader\n    resource: /\n    user: ada\n"
        "  - role: Reader\n    resource: /\n    user: bo\n"
        "  - role: Writer\n    resource: /\n    user: ada\n"
        "  - role: Reader\n    resource: /\n    user: ada\n    group: Keepers\n"
    ) == [
        (5, "This role allows no permanent assignment. Choose an end at most 365 days after the start."),
        (8, "There is nobody with the username “bo”."),
        (11, "There is no role “Writer” at “/”."),
        (14, "Name a user or a group."),
    ]


def test_other_dates_are_an_update():
    held = EligibleFactory(role__name="Reader", user__username="ada")
    end = (now() + timedelta(days=30)).replace(microsecond=0)

    assert done(f"version: 1\neligible:\n  - role: Reader\n    resource: /\n    user: ada\n    ends_at: {end}\n") == [
        ("change", "eligible", "Reader (/) of ada")
    ]
    held.refresh_from_db()
    assert (held.ends_at, Request.objects.get().action) == (end, "admin_update")


def test_hook_is_made_with_a_secret_of_its_own_then_moved_and_switched_off():
    hooks = "version: 1\nhooks:\n  - {name: Calendar, url: 'https://%s.example.org/ask', enabled: %s}\n"
    role = "roles:\n  - {resource: /, name: Deployer, settings: {hook: Calendar}}\n"
    assert ("create", "hooks", "Calendar") in done(hooks % ("calendar", "true") + role)
    hook = Hook.objects.get()
    assert hook.is_usable
    assert RoleSettings.objects.current().get(role__name="Deployer").hook == hook
    assert hook.secrets(now())[0] not in export()

    assert done(hooks % ("other", "false")) == [("change", "hooks", "Calendar")]
    moved = Hook.objects.values_list("pk", "url", "secret", "is_enabled").get()
    assert moved == (hook.pk, "https://other.example.org/ask", hook.secret, False)
    actions = Event.objects.filter(target_id=str(hook.pk)).order_by("id").values_list("action", flat=True)
    assert list(actions) == ["hook.registered", "hook_secret.renewed", "hook.updated", "hook.disabled"]


def test_hook_with_an_address_that_nothing_may_be_sent_to_refused():
    text = "version: 1\nhooks:\n  - {name: Calendar, url: 'ftp://calendar.example.org'}\n"
    assert [line for line, _words in refusals(text)] == [3]
    assert not Hook.objects.exists()


def test_override_that_the_file_leaves_out_is_taken_back():
    role, beneath = RoleFactory(name="Reader"), ResourceFactory()
    save_settings(role=role, scope=beneath, actor=None, ticket_required=True)

    assert done(f"version: 1\nroles:\n{READER}") == [("change", "roles", "Reader (/)")]
    assert not RoleSettings.objects.current().filter(role=role, scope=beneath).exists()


def test_managers_in_a_circle_refused():
    people = [
        f"  - username: {name}\n    name: N\n    email: {name}@example.org\n    manager: {manager}\n"
        for name, manager in (("ada", "bo"), ("bo", "ada"))
    ]
    assert refusals("version: 1\npeople:\n" + "".join(people)) == [
        (3, "These are managers of each other, in a circle: ada, bo.")
    ]


def test_what_the_file_leaves_out_stays_without_prune():
    held = EligibleFactory(role__name="Reader")
    assert done(f"version: 1\nroles:\n{READER}eligible: []\n") == []
    assert EligibleAssignment.objects.open().get() == held


def test_prune_ends_what_the_file_leaves_out_of_roles_that_it_describes():
    role = RoleFactory(name="Reader")
    gone, other = EligibleFactory(role=role, user__username="ada"), EligibleFactory()
    active = ActiveFactory(role=role, user=gone.user)

    assert done(f"version: 1\nroles:\n{READER}eligible: []\n", prune=True) == [("end", "eligible", "Reader (/) of ada")]
    assert set(EligibleAssignment.objects.open()) == {other}
    assert ActiveAssignment.objects.open().get() == active, "the file has no section of active assignments"


def test_prune_spares_emergency_people():
    held = ActiveFactory(role__name="Reader", user__is_emergency_access=True)
    assert done(f"version: 1\nroles:\n{READER}active: []\n", prune=True) == []
    assert ActiveAssignment.objects.open().get() == held


def test_prune_cannot_take_the_last_administrator():
    holder_of(Role.GLOBAL_ADMINISTRATOR, username="ada")
    says = "    privileged: true\n    description: May do everything in this site.\n"
    text = f"version: 1\nroles:\n  - resource: /\n    name: Global Administrator\n{says}active: []\n"

    assert refusals(text, prune=True) == [
        (0, "This would leave nobody who holds Global Administrator. Let somebody else hold it first.")
    ]


def test_disabling_the_last_administrator_refused():
    ada = holder_of(Role.GLOBAL_ADMINISTRATOR, username="ada")
    names = f"username: ada\n    name: {ada.display_name}\n    email: {ada.email}\n"
    text = f"version: 1\npeople:\n  - {names}    enabled: false\n"

    assert refusals(text) == [
        (3, "This would leave nobody who holds Global Administrator. Let somebody else hold it first.")
    ]


def test_assignment_whose_end_has_come_is_nothing_to_do():
    RoleFactory(name="Reader")
    UserFactory(username="ada")
    past = (now() - timedelta(days=1)).isoformat()
    assert done(f"version: 1\neligible:\n  - role: Reader\n    resource: /\n    user: ada\n    ends_at: {past}\n") == []


def test_resource_path_names_all_above_it():
    ResourceFactory(name="Finance")
    assert refusals(
        "version: 1\nresources:\n  - path: /Sales/Shop\n  - path: Ledger\n  - path: /Finance\n    kind: sea\n"
    ) == [
        (3, "There is no resource “/Sales”."),
        (4, "Write the path with all names from the organisation on. Example: /Finance/Ledger"),
        (5, "kind: Value 'sea' is not a valid choice."),
    ]


def test_resource_beneath_the_organisation_has_its_name_from_its_path():
    ResourceFactory(name="Finance")
    assert refusals(
        "version: 1\nresources:\n  - path: /Finance\n    name: Money\n  - path: /Sales\n    name: Sales\n"
    ) == [
        (line, "Leave the name out: it is the end of the path. Only the organisation (/) has one.") for line in (3, 5)
    ]


def test_organisation_keeps_its_name_where_the_file_has_none():
    name = root().name
    done("version: 1\nresources:\n  - path: /\n    name: Lighthouse\n    kind: organisation\n")
    assert (name, root().name) == ("Organisation", "Lighthouse")


GOVERNED = """\
version: 1
people:
  - username: ada
    name: Ada
    email: ada@example.org
groups:
  - name: On call
    description: At night.
resources:
  - path: /On call
    kind: group
    group: On call
    description: Who takes the telephone.
roles:
  - resource: /On call
    name: Member
    settings:
      activation_max_duration: 12h
eligible:
  - role: Member
    resource: /On call
    user: ada
"""


def test_group_is_governed_by_a_file():
    done(GOVERNED)

    member = Role.objects.get(group_part="member")
    settings = RoleSettings.objects.applying_to(member, member.resource)[0]
    assert (member.resource.group.name, settings.activation_max_duration) == ("On call", timedelta(hours=12))
    assert EligibleAssignment.objects.get().role == member
    assert done(export()) == done(GOVERNED) == []


def test_role_that_the_file_makes_privileged_goes_to_no_unprotected_group():
    RoleFactory(name="Reader")
    GroupFactory(name="Night", is_protected=False)
    role = READER.replace("name: Reader\n", "name: Reader\n    privileged: true\n")
    given = "eligible:\n  - group: Night\n    role: Reader\n    resource: /\n"
    (fault,) = refusals(f"version: 1\nroles:\n{role}{given}")
    assert fault[-1].startswith("Reader is privileged, and Night is not protected")


def test_whether_a_role_owns_its_resource_is_of_the_file():
    text = "version: 1\nroles:\n  - resource: /\n    name: Keeper\n    privileged: true\n    owns_resource: %s\n"
    done(text % "true")
    assert Role.objects.get(name="Keeper").owns_resource
    assert "owns_resource: true" in export()
    assert done(export()) == []
    done(text % "false")
    assert not Role.objects.get(name="Keeper").owns_resource


def test_what_a_deleted_group_leaves_is_exported_as_a_place_as_any_other():
    done(GOVERNED)
    delete_group(group=Group.objects.get(), actor=None, justification="Dissolved.")
    assert "group: On call" not in export()
    assert done(export()) == []


def test_rights_of_a_built_in_role_are_not_the_files():
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    text = "version: 1\nroles:\n  - resource: /\n    name: Security Reader\n    permissions: [accounts.add_user]\n"
    assert refusals(text) == [(3, "The rights of a built-in role are fixed.")]


def test_only_the_system_imports():
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    with refused("not_allowed"):
        apply(actor=administrator, document=document("version: 1\n"))


def test_endless_list_of_faults_is_cut():
    entries = "".join(f"  - role: R{n}\n    resource: /\n    user: a\n" for n in range(200))
    with pytest.raises(FileRefused) as refusal:
        plan(document=document("version: 1\neligible:\n" + entries))
    assert len(refusal.value.faults) == 101
