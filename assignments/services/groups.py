"""Changes to groups: who is in one, has what it holds."""

from collections.abc import Iterable

from django.db.models import Q
from django.utils.timezone import now

from accounts import services as accounts
from accounts.authority import require
from accounts.models import Group, User
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import check_group_unneeded, check_unprotected
from audit.services import privileged
from roles.models import ApprovalStage, Role
from roles.services import follow_group

from .activation import administrators_kept, end, end_adrift
from .assigning import remove_eligible

KINDS = (EligibleAssignment, ActiveAssignment)


@privileged("group.updated", target="group")
def update_group(
    *,
    group: Group,
    actor: User | None,
    name: str,
    description: str,
    owners: Iterable[User],
    members: Iterable[User],
    is_protected: bool,
    seen: str = "",
) -> Group:
    """Change a group and who is in it. What those who leave have activated through it ends at once.

    Its owners may change the members, and nothing else. `seen` is the `rules.fingerprint` of the `group_facts` that the
    change was thought out for; empty: of whichever.

    Raises:
        NotAllowed: the actor may not; a protected group needs a right of its own.
        ValidationError: a field is wrong, or the name is taken.
        GroupRefused: ``self_assignment``: nobody puts themselves into a group that has power.
        AssignmentRefused: ``group_not_protected``: it has power by its protection; ``last_administrator``.
    """
    require(actor, "accounts.change_group", at=group)
    owners, members = list(owners), list(members)
    # Who leaves activates nothing meanwhile; who comes into a protected group is issued no link.
    leaving = group.members.exclude(pk__in=[member.pk for member in members])
    accounts.lock_people([*leaving, *owners, *members] if is_protected else leaving)
    group = Group.objects.select_for_update(no_key=True).get(pk=group.pk)
    if not _is_about_members(group, actor, name, description, owners, is_protected):
        require(actor, "accounts.change_group")
        accounts.check_protection(actor, protected=group.is_protected or is_protected)
    if group.is_protected and not is_protected:
        check_unprotected(group, privileged=_roles_held(group, is_privileged=True), approves_for=_decided_by(group))
    if accounts.joins(group, actor, owners, members) and has_power(group):
        raise accounts.own_group()
    protecting = is_protected and not group.is_protected
    with administrators_kept():
        group = accounts.change_group(
            group=group,
            actor=actor,
            name=name,
            description=description,
            owners=owners,
            members=members,
            is_protected=is_protected,
            seen=seen,
        )
        end_adrift(actor=actor, eligible_assignment__group=group)
    follow_group(group=group, actor=actor)
    if protecting:
        accounts.withdraw_weak_tickets(_governed(group))
    return group


@privileged("group.deleted", target="group")
def delete_group(*, group: Group, actor: User | None, justification: str) -> Group:
    """Delete a group: what it holds is taken away, and what its members activated through it ends at once.

    Raises:
        NotAllowed. AssignmentRefused: ``group_needed`` (it approves), ``last_administrator``.
    """
    require(actor, "accounts.change_group")
    at = now()
    accounts.lock_people(User.objects.filter(Q(member_groups=group) | Q(pk__in=_governed(group))).distinct())
    group = Group.objects.select_for_update(no_key=True).get(pk=group.pk)
    accounts.check_protection(actor, protected=group.is_protected)
    check_group_unneeded(group, approves_for=_decided_by(group))
    with administrators_kept():
        # What the group holds, and who holds its two roles.
        its = Q(group=group) | Q(role__resource__group=group)
        for eligible in EligibleAssignment.objects.lasting(at).filter(its):
            remove_eligible(eligible=eligible, actor=actor, justification=justification)
        for active in ActiveAssignment.objects.lasting(at).filter(its):
            end(active=active, actor=actor, reason=ActiveAssignment.EndReason.REMOVED, justification=justification)
        return accounts.drop_group(group=group, actor=actor, justification=justification)


def _is_about_members(
    group: Group, actor: User | None, name: str, description: str, owners: list[User], is_protected: bool
) -> bool:
    """Is the actor an owner, and does all but the members stay as it is?"""
    kept = (name.strip(), description, is_protected) == (group.name, group.description, group.is_protected)
    is_owner = actor is not None and actor.has_perm("accounts.change_group", group)
    return is_owner and kept and set(owners) == set(group.owners.all())


def has_power(group: Group) -> bool:
    """Does being in it give anything: a role, or a say?"""
    return bool(_roles_held(group) or _decided_by(group))


def _roles_held(group: Group, **narrowed: bool) -> list[Role]:
    at = now()
    held = [model.objects.lasting(at).of(group).values("role") for model in KINDS]
    return list(Role.objects.filter(Q(pk__in=held[0]) | Q(pk__in=held[1]), **narrowed))


def _decided_by(group: Group) -> list[Role]:
    named = Q(approver_groups=group) | Q(escalation_groups=group)
    stages = ApprovalStage.objects.in_use().filter(named)
    return list(Role.objects.filter(settings__stages__in=stages).distinct())


def _governed(group: Group) -> Iterable[User]:
    """Those who are, or can become, a member or an owner for a time."""
    at = now()
    rows = [model.objects.lasting(at).filter(role__resource__group=group) for model in KINDS]
    return User.objects.filter(Q(pk__in=rows[0].values("user")) | Q(pk__in=rows[1].values("user")))
