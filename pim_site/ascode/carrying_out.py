"""Puts a file in force: each difference between it and what is there is one call of the service that a page calls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts import services as accounts
from accounts.bulk import Bulk, bulk
from accounts.links import link
from accounts.models import Group, User
from approvals import services as approvals
from assignments import services as assignments
from notifications.services import gathered, queue
from roles import services as roles
from roles.hooks import Hook
from roles.models import Resource, Role, RoleSettings
from roles.stages import GROUPS, PEOPLE, StageTerms

from .contents import IDENTITY, SECTIONS
from .document import Fault, FileRefused
from .plan import CHANGE, CREATE, END, Plan, differences, name_of, particulars
from .present import Values, present, role_values
from .reading import Document, Row
from .shapes import Unreadable
from .site import Site

MOST_FAULTS = 100
# A savepoint costs as much as an insert: assignments of which none is refused share one.
TOGETHER = 100
LINES_TOLD = 20
# What does one row; and a row that is not as the site is, with what was there and the names of what differs.
Act = Callable[[Row, Values | None], None]
Differing = tuple[Row, Values | None, tuple[str, ...]]
ASSIGN: dict[str, Callable[..., Any]] = {"eligible": approvals.assign_eligible, "active": approvals.assign_active}


def carry_out(document: Document, *, actor: User | None, prune: bool = False, reason: str = "") -> Plan:
    """Do what the file asks for, in the present transaction; return what that was.

    Args:
        reason: why, for the audit and for those concerned.
        prune: end the assignments that the file leaves out, of roles that it describes.

    Raises:
        FileRefused: with each entry that was refused and why. What was done until then is to be rolled back.
    """
    work = Work(document, actor, reason or _("As the imported file says."))
    for section in ("people", "groups", "resources", "hooks", "roles"):
        work.do(section)
    with bulk() as act, gathered():
        work.lock_holders()
        for section in ASSIGN:
            work.do(section)
    _tell(act, work)
    if prune:
        work.end_what_is_left_out()
    work.disable()
    if work.faults:
        raise FileRefused(sorted(work.faults))
    return work.plan


class Work:
    """One file being put in force."""

    def __init__(self, document: Document, actor: User | None, reason: str) -> None:
        self.document, self.actor, self.reason, self.at = document, actor, reason, now()
        self.site, self.plan, self.faults = Site(), Plan(), list[Fault]()
        self.before = {
            section: {tuple(values[key] for key in IDENTITY[section]): values for values in rows}
            for section, rows in present().items()
        }

    @contextmanager
    def step(self, line: int) -> Iterator[None]:
        """Note a refusal with its line and go on: whoever mends the file sees all that is wrong at once."""
        if len(self.faults) >= MOST_FAULTS:
            raise FileRefused([*self.faults, Fault(0, _("There may be more: this was not read any further."))])
        try:
            with transaction.atomic():
                yield
        except Unreadable as error:
            self.faults.append(Fault(line, str(error)))
        except (ValidationError, PermissionDenied) as refusal:
            self.faults.append(Fault(line, _in_words(refusal)))

    def do(self, section: str) -> None:
        """Make what is new in a section, then change what differs."""
        act = getattr(self, f"_{section}", None) or partial(self._assignments, section)
        differing, together = list(self._differing(section)), TOGETHER if section in ASSIGN else 1
        for start in range(0, len(differing), together):
            rows = differing[start : start + together]
            if not _all_done(act, rows):
                self._find_faults(act, rows)
            for row, before, changed in rows:
                self.plan.add(CHANGE if before else CREATE, section, name_of(section, row.values), row.line, *changed)

    def _find_faults(self, act: Act, rows: list[Differing]) -> None:
        """Do rows one by one of which one was refused: the file is refused, so this only finds all that is wrong."""
        known = len(self.faults)
        for row, before, _changed in rows:
            with self.step(row.line):
                act(row, before)
        if len(self.faults) == known:
            raise RuntimeError("refused together, but not one by one")

    def _differing(self, section: str) -> Iterator[Differing]:
        rows = [_as_of_now(row, self.at) for row in self.document.rows(section) if not _is_over(row, self.at)]
        for said in _in_order(section, rows):
            before = self.before[section].get(said.of(*IDENTITY[section]))
            row = Row({**(before or SECTIONS[section].defaults), **said.values}, said.line)
            changed = tuple(differences(before, row.values) if before else particulars(section, row.values))
            if before is None or changed:
                yield row, before, changed

    # --- people and groups ------------------------------------------------------------------------------------

    def _people(self, row: Row, before: Values | None) -> None:
        """Whom the file disables is disabled at the end: until then what they are eligible for can be assigned."""
        site, name = self.site, row["username"]
        facts = {"email": row["email"], "display_name": row["name"], "is_emergency_access": row["emergency_access"]}
        facts["time_zone"] = row["time_zone"]
        facts["manager"] = site.person(row["manager"]) if row["manager"] else None
        if before is None:
            site.people[name] = assignments.create_person(actor=self.actor, username=name, kind=row["kind"], **facts)
            return
        if row["kind"] != before["kind"]:
            raise Unreadable(_("What somebody is stays so: a person, or a service account."))
        person = site.person(name)
        if any(row[key] != before[key] for key in before if key != "enabled"):
            person = site.people[name] = assignments.update_person(user=person, actor=self.actor, **facts)
        if row["enabled"] and not before["enabled"]:
            site.people[name] = assignments.enable_person(user=person, actor=self.actor, justification=self.reason)

    def disable(self) -> None:
        for row in self.document.rows("people"):
            if row.values.get("enabled") is False and row["username"] in self.site.people:
                person = User.objects.get(pk=self.site.people[row["username"]].pk)
                if person.is_active:
                    with self.step(row.line):
                        assignments.disable_person(user=person, actor=self.actor, justification=self.reason)

    def _groups(self, row: Row, before: Values | None) -> None:
        site, name = self.site, row["name"]
        facts = {"name": name, "description": row["description"], "is_protected": row["protected"]}
        facts |= {part: [site.person(username) for username in row[part]] for part in ("owners", "members")}
        if before is None:
            site.groups[name] = accounts.create_group(actor=self.actor, **facts)
        else:
            site.groups[name] = assignments.update_group(group=site.group(name), actor=self.actor, **facts)

    # --- resources, hooks and roles ---------------------------------------------------------------------------

    def _resources(self, row: Row, before: Values | None) -> None:
        site, path = self.site, row["path"]
        facts = {"kind": row["kind"], "description": row["description"]}
        if path != "/" and row["name"]:
            raise Unreadable(_("Leave the name out: it is the end of the path. Only the organisation (/) has one."))
        if before is not None:
            if row["group"] != before["group"]:
                raise Unreadable(_("What a resource stands for stays so: a group, or something else."))
            resource = site.resource(path)
            name = row["name"] if path == "/" else resource.name
            roles.update_resource(resource=resource, actor=self.actor, name=name, **facts)
            return
        above, _slash, name = path.rpartition("/")
        if not path.startswith("/"):
            raise Unreadable(_("Write the path with all names from the organisation on. Example: /Finance/Ledger"))
        parent = site.resource(above or "/")
        if row["group"]:
            self._govern(row, parent)
        else:
            site.resources[path] = roles.create_resource(parent=parent, actor=self.actor, name=name, **facts)

    def _govern(self, row: Row, parent: Resource) -> None:
        """Make the resource of a group; its two roles are there from then on."""
        group, path = self.site.group(row["group"]), row["path"]
        if path.rpartition("/")[2] != group.name or row["kind"] != Resource.Kind.GROUP:
            raise Unreadable(_("The resource of a group has its name, and the kind “group”."))
        place = roles.govern_group(group=group, parent=parent, actor=self.actor)
        if row["description"] != place.description:
            facts = {"name": place.name, "kind": place.kind, "description": row["description"]}
            place = roles.update_resource(resource=place, actor=self.actor, **facts)
        self.site.resources[path] = place
        for role in place.roles.all():
            self.site.roles[path, role.name] = role
            values = role_values(role, {place.pk: path}, RoleSettings.objects.current().filter(role=role))
            self.before["roles"][path, role.name] = values

    def _hooks(self, row: Row, before: Values | None) -> None:
        """A new one gets a secret that nobody has seen: to give it to the other system, one is made on its page."""
        name, url = row["name"], row["url"]
        if before is None:
            hook = roles.register_hook(name=name, url=url, actor=self.actor)
            roles.renew_hook_secret(hook=hook, actor=self.actor)
        elif url != before["url"]:
            roles.update_hook(hook=self.site.hook(name), name=name, url=url, actor=self.actor)
        hook = self.site.hooks[name] = Hook.objects.get(name=name)
        if row["enabled"] != hook.is_enabled:
            switch = roles.enable_hook if row["enabled"] else roles.disable_hook
            self.site.hooks[name] = switch(hook=hook, actor=self.actor, justification=self.reason)

    def _roles(self, row: Row, before: Values | None) -> None:
        role = self._role_itself(row, before)
        scopes = {override["scope"] for override in row["overrides"]}
        for gone in {each["scope"] for each in before["overrides"]} - scopes if before else ():
            roles.remove_settings(role=role, scope=self.site.resource(gone), actor=self.actor)
        roles.save_settings(role=role, scope=role.resource, actor=self.actor, **self._settings(row["settings"]))
        for override in row["overrides"]:
            scope = self.site.resource(override["scope"])
            roles.save_settings(role=role, scope=scope, actor=self.actor, **self._settings(override))

    def _role_itself(self, row: Row, before: Values | None) -> Role:
        resource, name = self.site.resource(row["resource"]), row["name"]
        rights: list[Permission] | None = [self.site.right(right) for right in row["permissions"]]
        facts = {"name": name, "description": row["description"], "is_privileged": row["privileged"]}
        facts["owns_resource"] = row["owns_resource"]
        if before is None:
            settings = self._settings(row["settings"])
            made = roles.create_role(resource=resource, actor=self.actor, permissions=rights or (), **facts, **settings)
            self.site.roles[row["resource"], name] = made
            return made
        role = self.site.role(row["resource"], name)
        if any(row[key] != before[key] for key in ("description", "privileged", "owns_resource", "permissions")):
            rights = None if role.is_built_in and not rights else rights
            role = roles.update_role(role=role, actor=self.actor, permissions=rights, **facts)
            self.site.roles[row["resource"], name] = role
        return role

    def _settings(self, values: Values) -> Values:
        """Return settings as the service takes them: who is named, as rows."""
        settings = {name: value for name, value in values.items() if name != "scope"}
        hook = self.site.hook(values["hook"]) if values["hook"] else None
        return settings | {"hook": hook, "stages": [self._stage(stage) for stage in values["stages"]]}

    def _stage(self, values: Values) -> StageTerms:
        people = {name: tuple(map(self.site.person, values[name])) for name in PEOPLE}
        groups = {name: tuple(map(self.site.group, values[name])) for name in GROUPS}
        return StageTerms(**values | people | groups)

    # --- assignments ------------------------------------------------------------------------------------------

    def lock_holders(self) -> None:
        """Lock whom the assignments name, at once: one by one each would be a question of its own, in any order."""
        names = {row.values.get("user") for section in ASSIGN for row in self.document.rows(section)}
        people = {name: self.site.people[name] for name in names if name in self.site.people}
        held = assignments.lock_holders(people.values())
        self.site.people |= {name: held[person.pk] for name, person in people.items()}

    def _assignments(self, section: str, row: Row, before: Values | None) -> None:
        holder, role, scope = self._who_what_where(row.values)
        terms = {"starts_at": row["starts_at"], "ends_at": row["ends_at"], "justification": self.reason}
        if before is not None:
            made = self.site.assignment(section, holder, role, scope)
            approvals.update(assignment=made, actor=self.actor, **terms)
            return
        ASSIGN[section](holder=holder, role=role, scope=scope, actor=self.actor, **terms)

    def _who_what_where(self, values: Values) -> tuple[User | Group, Role, Resource]:
        if bool(values["user"]) == bool(values["group"]):
            raise Unreadable(_("Name a user or a group."))
        holder = self.site.person(values["user"]) if values["user"] else self.site.group(values["group"])
        role = self.site.role(values["resource"], values["role"])
        return holder, role, self.site.resource(values["scope"] or values["resource"])

    def end_what_is_left_out(self) -> None:
        """Emergency people keep what they have: a file that forgets them must not lock everybody out."""
        described = {(row["resource"], row["name"]) for row in self.document.rows("roles")}
        for section in self.document.sections.keys() & ASSIGN.keys():
            named = {row.of(*IDENTITY[section]) for row in self.document.rows(section)}
            for key, values in self.before[section].items():
                if key not in named and (values["resource"], values["role"]) in described:
                    with self.step(0):
                        self._end(section, values)

    def _end(self, section: str, values: Values) -> None:
        holder, role, scope = self._who_what_where(values)
        if isinstance(holder, User) and holder.is_emergency_access:
            return
        row = self.site.assignment(section, holder, role, scope)
        if section == "eligible":
            approvals.remove_eligible(eligible=row, actor=self.actor, justification=self.reason)
        else:
            approvals.remove_active(active=row, actor=self.actor, justification=self.reason)
        self.plan.add(END, section, name_of(section, values), 0)


def _all_done(
    act: Callable[[Row, Values | None], None], rows: list[tuple[Row, Values | None, tuple[str, ...]]]
) -> bool:
    """Do these rows as one; return False if one is refused: then none is done, and each is to be done by itself."""
    try:
        with transaction.atomic():
            for row, before, _changed in rows:
                act(row, before)
    except (Unreadable, ValidationError, PermissionDenied):
        return False
    return True


def _tell(act: Bulk, work: Work) -> None:
    """Send each who is told of assignments one mail about all of them."""
    for recipient, counts in act.told.items():
        lines = [f"{what}: {count}" for what, count in counts.most_common(LINES_TOLD)]
        context = {"actor": str(work.actor or ""), "count": counts.total(), "lines": "\n".join(lines)}
        queue("assigned_in_bulk", to=[recipient], context=context | {"audience": "admin", "url": link("admin:index")})


def _is_over(row: Row, at: datetime) -> bool:
    """Is it an assignment whose end has come? Then there is nothing to assign any more."""
    ends_at = row.values.get("ends_at")
    return ends_at is not None and ends_at <= at


def _as_of_now(row: Row, at: datetime) -> Row:
    """Return an assignment as `present` would tell it: a start that has come is now, a role's own scope is left out."""
    values = dict(row.values)
    if values.get("starts_at") and values["starts_at"] <= at:
        values["starts_at"] = None
    if values.get("scope") and values["scope"] == values["resource"]:
        values["scope"] = ""
    return Row(values, row.line)


def _in_order(section: str, rows: list[Row]) -> list[Row]:
    """Put what others stand on before them: a resource before those beneath it, managers before their people."""
    if section == "resources":
        return sorted(rows, key=lambda row: row["path"].count("/") if row["path"] != "/" else 0)
    return _managers_first(rows) if section == "people" else rows


def _managers_first(rows: list[Row]) -> list[Row]:
    waiting, ordered = {row["username"]: row for row in rows}, list[Row]()
    while waiting:
        ready = [row for row in waiting.values() if row.values.get("manager") not in waiting]
        if not ready:
            names = ", ".join(list(waiting)[:10])
            fault = _("These are managers of each other, in a circle: %(names)s.") % {"names": names}
            raise FileRefused([Fault(next(iter(waiting.values())).line, fault)])
        ordered += ready
        for row in ready:
            del waiting[row["username"]]
    return ordered


def _in_words(refusal: ValidationError | PermissionDenied) -> str:
    if isinstance(refusal, PermissionDenied):
        return str(refusal)
    if hasattr(refusal, "error_dict"):
        fields = refusal.message_dict.items()
        return " ".join(f"{name}: {' '.join(texts)}" for name, texts in fields)
    return " ".join(refusal.messages)
