"""Who is asked about an access, stage by stage, as it is when a review begins."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from accounts.models import Group, User
from assignments.models import ActiveAssignment, administrators, members_of
from assignments.ownership import owners_of
from roles.models import Role

from .models import Item, Stage


class Reviewers:
    """The reviewers of one stage. What several accesses share is asked of the database once."""

    def __init__(self, stage: Stage, at: datetime) -> None:
        self.stage, self.at = stage, at
        self._owners: dict[Any, set[User]] = {}
        self._last: set[User] | None = None
        self.fallback = set(stage.fallback.enabled().people())
        groups = stage.groups.filter(is_protected=True)
        members = {person for group in groups for person in members_of(group, at).people()}
        self.named = set(stage.people.enabled().people()) | members

    def of(self, item: Item) -> set[User]:
        """Return who is asked: the reviewers of the stage, or else the fallback, or else the administrators.

        Nobody is asked about their own access, unless the stage asks each for themselves.
        """
        if self.stage.reviewers == Stage.Reviewers.THEMSELVES and item.user.is_active and item.user.is_person:
            return {item.user}
        for candidates in (self._first, self._fall_back, self._administrators):
            if able := {person for person in candidates(item) if person.pk != item.user_id}:
                return able
        return set()

    def _first(self, item: Item) -> set[User]:
        match self.stage.reviewers:
            case Stage.Reviewers.NAMED:
                return self.named
            case Stage.Reviewers.MANAGERS:
                manager = item.user.manager
                return {manager} if manager and manager.is_active and manager.is_person else set()
            case Stage.Reviewers.OWNERS:
                return self._owners_of(item)
        return set()

    def _fall_back(self, item: Item) -> set[User]:
        return self.fallback

    def _administrators(self, item: Item) -> set[User]:
        if self._last is None:
            self._last = set(administrators(self.at).enabled().people())  # type: ignore[attr-defined]
        return self._last

    def _owners_of(self, item: Item) -> set[User]:
        key = ("group", item.group_id) if item.group_id else (item.role_id, item.scope_id)
        if key not in self._owners:
            owners = self._owners_of_group(item.group) if item.group else owners_of(_assignment(item), self.at).people()
            self._owners[key] = set(owners)
        return self._owners[key]

    def _owners_of_group(self, group: Group) -> Iterable[User]:
        if role := Role.objects.filter(resource__group=group, group_part=Role.GroupPart.OWNER).first():
            return owners_of(ActiveAssignment(role=role, scope=role.resource), self.at).people()
        return group.owners.filter(is_active=True, kind=User.Kind.PERSON)


def _assignment(item: Item) -> ActiveAssignment:
    assert item.role is not None  # noqa: S101 (an item is an assignment or a membership)
    assert item.scope is not None  # noqa: S101 (the same)
    return ActiveAssignment(role=item.role, scope=item.scope)
