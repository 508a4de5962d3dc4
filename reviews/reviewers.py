"""Who is asked about an access, stage by stage, as it is when a review begins."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import Group, User
from assignments.models import ActiveAssignment, administrators, members_of
from assignments.ownership import owners_of
from roles.models import Resource, Role

from .models import Stage


class Reviewers:
    """The reviewers of one stage. What several accesses share is asked of the database once."""

    def __init__(self, stage: Stage, at: datetime) -> None:
        self.stage, self.at = stage, at
        self._owners: dict[Any, set[UUID]] = {}
        self._last: set[UUID] | None = None
        self.named = self._of_groups(stage.groups) | _keys(stage.people.enabled().people())
        self.fallback = self._of_groups(stage.fallback_groups) | _keys(stage.fallback.enabled().people())

    def _of_groups(self, groups: Any) -> set[UUID]:
        """Return who is in one of them that is still protected."""
        protected = groups.filter(is_protected=True)
        return {key for group in protected for key in _keys(members_of(group, self.at).people())}

    def of(self, row: Any) -> set[UUID]:
        """Return the keys of those who are asked: the reviewers of the stage, or the fallback, or the administrators.

        Nobody is asked about their own access, unless the stage asks each for themselves.

        Args:
            row: what `Walk.next_rows` found.
        """
        if self.stage.reviewers == Stage.Reviewers.THEMSELVES and _able(row.user__is_active, row.user__kind):
            return {row.user_id}
        for candidates in (self._first, self._fall_back, self._administrators):
            if able := candidates(row) - {row.user_id}:
                return able
        return set()

    def _first(self, row: Any) -> set[UUID]:
        match self.stage.reviewers:
            case Stage.Reviewers.NAMED:
                return self.named
            case Stage.Reviewers.MANAGERS:
                able = _able(row.user__manager__is_active, row.user__manager__kind)
                return {row.user__manager_id} if able else set()
            case Stage.Reviewers.OWNERS:
                return self._owners_of(row)
        return set()

    def _fall_back(self, row: Any) -> set[UUID]:
        return self.fallback

    def _administrators(self, row: Any) -> set[UUID]:
        if self._last is None:
            self._last = _keys(administrators(self.at).enabled().people())  # type: ignore[attr-defined]
        return self._last

    def _owners_of(self, row: Any) -> set[UUID]:
        group = getattr(row, "group_id", None)
        key = group or (row.role_id, row.scope_id)
        if key not in self._owners:
            self._owners[key] = _keys(self._owners_of_group(group) if group else self._owners_at(*key))
        return self._owners[key]

    def _owners_at(self, role: UUID, scope: UUID) -> Iterable[User]:
        place = Resource.objects.get(pk=scope)
        about = ActiveAssignment(role=Role.objects.select_related("resource__group").get(pk=role), scope=place)
        return owners_of(about, self.at).people()

    def _owners_of_group(self, key: UUID) -> Iterable[User]:
        group = Group.objects.get(pk=key)
        if role := Role.objects.filter(resource__group=group, group_part=Role.GroupPart.OWNER).first():
            return owners_of(ActiveAssignment(role=role, scope=role.resource), self.at).people()
        return group.owners.filter(is_active=True, kind=User.Kind.PERSON)


def _able(is_active: bool | None, kind: str | None) -> bool:
    return bool(is_active) and kind == User.Kind.PERSON


def _keys(people: Iterable[User]) -> set[UUID]:
    return {person.pk for person in people}
