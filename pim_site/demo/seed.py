"""Makes the demo organisation, once, through the services that everything else goes through."""

import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils.timezone import now

from accounts import factors
from accounts import services as accounts
from accounts.models import Group, TotpDevice, User
from approvals import services as approvals
from assignments import services as assignments
from audit.context import bind
from audit.services import record
from notifications.models import Message
from pim_site import weekly
from roles import services as roles
from roles.builtin import RIGHTS
from roles.models import Resource, Role
from roles.stages import StageTerms

from . import calendar, campaigns, clock, history, watch
from .organisation import (
    ACTIVE,
    ADMINISTRATOR,
    ELIGIBLE,
    GROUPS,
    NAME,
    OVERRIDES,
    PASSWORD,
    PEOPLE,
    RESOURCES,
    ROLES,
    SERVICE,
    Held,
    Node,
    Person,
    Post,
)

FOUNDED = timedelta(days=60)
RECENT = timedelta(days=1)


@dataclass
class Cast:
    """Everything that the data calls by name, as rows."""

    people: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)

    @property
    def boss(self) -> User:
        return self.people["global_admin"]

    def role(self, name: str) -> Role:
        """By the name of the data, or by the key of a built-in role."""
        return self.roles[name]

    def scope(self, held: Held) -> Resource:
        return self.resources[held.scope] if held.scope else self.roles[held.role].resource


def seed() -> bool:
    """Make the organisation and its past, all or nothing. Return False if there are people already."""
    if User.objects.exists():
        calendar.move()
        return False
    today = now().replace(microsecond=0)
    with transaction.atomic():
        cast = found(today - FOUNDED)
        story = [
            *assigning(cast, today),
            *history.acts(cast, today),
            *campaigns.acts(cast, today),
            *watch.acts(cast, today),
        ]
        history.play(story, until=today)
        weekly.begin(today - weekly.WEEK)
        # Nobody waits for the mail of weeks ago; the worker sends what is new.
        Message.objects.filter(created_at__lt=today - RECENT).update(state=Message.State.SUPPRESSED)
    history.refusals(cast)
    return True


def found(at: datetime) -> Cast:
    """The company on its first day: people, groups, resources, roles, and one administrator."""
    cast = Cast(resources={NAME: Resource.objects.get(path="/")})
    cast.roles = {key: Role.objects.built_in(key) for key in RIGHTS}
    with (
        clock.set_to(at),
        bind(correlation_id=uuid.uuid4().hex, via="command"),
        ThreadPoolExecutor(1) as meanwhile,  # it takes a tenth of the whole, and no database
    ):
        password = meanwhile.submit(make_password, PASSWORD)
        hire(cast)
        enrol(cast.people.values(), password.result())
        root = cast.resources[NAME]
        reason = "The first administrator, made on the command line."
        approvals.assign_active(
            holder=cast.boss, role=cast.role(ADMINISTRATOR), scope=root, actor=None, justification=reason
        )
    with clock.set_to(at + timedelta(days=1)), history.on_page():
        arrange(cast)
    return cast


def hire(cast: Cast) -> None:
    for person in (*PEOPLE, SERVICE):
        cast.people[person.username] = _hire(person, cast.people.get(person.manager))


def _hire(person: Person, manager: User | None) -> User:
    return assignments.create_person(
        actor=None,
        username=person.username,
        email=person.email,
        display_name=person.name,
        kind=User.Kind.SERVICE if person is SERVICE else User.Kind.PERSON,
        manager=manager,
        time_zone=person.zone,
    )


def enrol(people: Iterable[User], password: str) -> None:
    """Give each person the demo's password and an authenticator app, as an enrolment link would, but hash once."""
    persons = [person for person in people if person.is_person]
    for person in persons:
        person.password = password
        record("enrolment.completed", actor=person, target=person, subject=person)
    User.objects.bulk_update(persons, ["password"])
    apps = [TotpDevice(user=person, name="Demo app", encrypted_key=factors.new_key()) for person in persons]
    TotpDevice.objects.bulk_create(apps)


def arrange(cast: Cast) -> None:
    root = cast.resources[NAME]
    roles.update_resource(resource=root, actor=cast.boss, name=NAME, kind=root.kind, description="Everything there is.")
    plant(cast, root, RESOURCES)
    for team in GROUPS:
        cast.groups[team.name] = accounts.create_group(
            actor=cast.boss,
            name=team.name,
            description=team.description,
            owners=[cast.people[team.owner]] if team.owner != cast.boss.username else [],
            members=[cast.people[member] for member in team.members],
            is_protected=team.is_protected,
        )
    calendar.register(cast.boss)
    for post in ROLES:
        cast.roles[post.name] = roles.create_role(
            actor=cast.boss,
            resource=cast.resources[post.resource],
            name=post.name,
            description=post.description,
            is_privileged=post.is_privileged,
            **settings_of(cast, post),
        )
    for post in OVERRIDES:
        scope = cast.resources[post.resource]
        roles.save_settings(role=cast.role(post.name), scope=scope, actor=cast.boss, **settings_of(cast, post))


def plant(cast: Cast, parent: Resource, nodes: Iterable[Node]) -> None:
    for node in nodes:
        made = roles.create_resource(actor=cast.boss, parent=parent, name=node.name, kind=node.kind)
        cast.resources[node.name] = made
        plant(cast, made, node.beneath)


def settings_of(cast: Cast, post: Post) -> dict[str, Any]:
    stage = StageTerms(
        approvers=tuple(cast.people[name] for name in post.approvers),
        approver_groups=tuple(cast.groups[name] for name in post.groups),
        timeout=post.time_to_decide,
    )
    hook = {"hook": calendar.hook()} if post.asks_calendar else {}
    return post.settings | hook | {"stages": [stage]}


def assigning(cast: Cast, today: datetime) -> list[history.Act]:
    """Each assignment at the moment at which it was made: at its start, or some days ago if that is to come."""
    active = [_assigning(cast, held, today, approvals.assign_active) for held in ACTIVE]
    return active + [_assigning(cast, held, today, approvals.assign_eligible) for held in ELIGIBLE]


def _assigning(cast: Cast, held: Held, today: datetime, assign: history.Service) -> history.Act:
    starts_at, made_at = today - timedelta(days=held.since), today - timedelta(days=max(held.since, 2))
    administrator = cast.people[
        "ines.shoal" if held.since < FOUNDED.days / 2 and held.person != "ines.shoal" else "global_admin"
    ]

    def act() -> None:
        assign(
            holder=cast.people[held.person],
            role=cast.role(held.role),
            scope=cast.scope(held),
            actor=administrator,
            starts_at=None if held.since > 0 else starts_at,
            ends_at=None if held.until is None else today + timedelta(days=held.until),
            justification="Agreed with the manager; part of the job.",
        )

    return history.Act(made_at, act)
