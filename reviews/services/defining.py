"""Series of access reviews: made, changed between two reviews, discontinued."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from django.utils.timezone import now

from accounts.authority import may, require
from accounts.models import User
from accounts.rules import check_seen
from audit.services import privileged, record
from reviews.models import Definition, Instance, Stage
from reviews.rules import SeriesTerms, StageTerms, check_not_running, check_series, check_stays, check_to_come

MANY = ("roles", "groups", "told")
OF_STAGE = ("people", "groups", "fallback", "fallback_groups")
PLAIN = tuple(each.name for each in fields(SeriesTerms) if each.name not in (*MANY, "stages"))
OF_NAME = 80  # the rest is for the name of the role
RUNNING = (Instance.State.STARTING, Instance.State.IN_PROGRESS)


@privileged("review.defined", target=None)
def define(*, actor: User | None, terms: SeriesTerms) -> Definition:
    """Make a series; its first review begins by itself.

    Raises:
        NotAllowed. SeriesRefused: see `reviews.rules`.
    """
    of_owners = _asked_by_owner(actor, terms)
    at = now()
    next_at = terms.plan.begins(1)
    check_series(terms, next_at=next_at, at=at)
    definition = Definition(created_by=actor, created_at=at, next_at=next_at, of_owners=of_owners)
    _write(definition, terms)
    record("review.defined", actor=actor, target=definition, after=facts_of(terms_of(definition)))
    return definition


def _asked_by_owner(actor: User | None, terms: SeriesTerms) -> bool:
    """Refuse who may not define such a series; return whether they may as an owner of its resource alone."""
    if actor is None or may(actor, "reviews.add_definition"):
        return False
    require(actor, "reviews.add_definition", at=Definition(covers=terms.covers, scope=terms.scope, of_owners=True))
    return True


def define_each(*, actor: User | None, terms: SeriesTerms) -> list[Definition]:
    """Make a series for each role, named after it, each by itself: what is refused of one is refused of the first.

    Raises:
        As `define`.
    """
    longest = Definition._meta.get_field("name").max_length
    named = [(f"{terms.name.strip()[:OF_NAME]} · {role.name}"[:longest], role) for role in terms.roles]
    each = [replace(terms, name=name, roles=(role,)) for name, role in named] if terms.name.strip() else []
    return [define(actor=actor, terms=asked) for asked in each or [terms]]


@privileged("review.changed", target="definition")
def change(*, definition: Definition, actor: User | None, terms: SeriesTerms, seen: str = "") -> Definition:
    """Change a series from its next review on.

    The review to come begins on the first day where that is a new one, which is from today on; otherwise on the next
    of its days by these terms. Its reviews go on being counted.

    Args:
        seen: `accounts.rules.fingerprint` of the `facts_of` what the actor saw; empty: whichever.

    Raises:
        NotAllowed. ChangedMeanwhile. SeriesRefused: ``in_progress``, ``already_ended``; ``scope_invalid``: a series of
            owners would leave its resource; and as `define`.
    """
    require(actor, "reviews.change_definition", at=definition)
    definition = locked(definition)
    about = Definition(covers=terms.covers, scope=terms.scope, of_owners=definition.of_owners)
    require(actor, "reviews.change_definition", at=about)
    at, before = now(), facts_of(terms_of(definition))
    check_seen(before, seen)
    check_not_running(definition, running=_is_running(definition))
    check_stays(definition, terms)
    _plan_anew(definition, terms, at=at)
    check_series(terms, next_at=definition.next_at, at=at)
    _write(definition, terms)
    record("review.changed", actor=actor, target=definition, before=before, after=facts_of(terms_of(definition)))
    return definition


@privileged("review.hastened", target="definition")
def hasten(*, definition: Definition, actor: User | None, justification: str) -> Definition:
    """Let the review to come begin now instead of when it is planned; those after it begin as planned.

    Raises:
        NotAllowed. SeriesRefused: ``in_progress``, ``already_ended``; ``nothing_to_begin``: there was the last one;
            ``maker_gone``.
    """
    require(actor, "reviews.change_definition", at=definition)
    definition, at = locked(definition), now()
    check_not_running(definition, running=_is_running(definition))
    check_to_come(definition, backed=is_backed(definition))
    planned, definition.next_at = definition.next_at, at
    definition.save(update_fields=["next_at"])
    facts: dict[str, Any] = {"before": {"next_at": planned}, "after": {"next_at": at}}
    record("review.hastened", actor=actor, target=definition, justification=justification, **facts)
    return definition


@privileged("review.discontinued", target="definition")
def discontinue(*, definition: Definition, actor: User | None, justification: str) -> Definition:
    """Let no further review of a series begin. One that is in progress goes on.

    Raises:
        NotAllowed. SeriesRefused: ``already_ended``.
    """
    require(actor, "reviews.change_definition", at=definition)
    definition = locked(definition)
    check_not_running(definition, running=False)
    definition.discontinued_at, definition.next_at = now(), None
    definition.save(update_fields=["discontinued_at", "next_at"])
    record("review.discontinued", actor=actor, target=definition, justification=justification)
    return definition


def is_backed(definition: Definition) -> bool:
    """Does who defined a series of owners still have the right to? What it does by itself is done by that right."""
    maker = definition.created_by
    return not definition.of_owners or (maker is not None and may(maker, "reviews.run_instance", at=definition))


def _is_running(definition: Definition) -> bool:
    return definition.instances.filter(state__in=RUNNING).exists()


def locked(definition: Definition) -> Definition:
    return Definition.objects.select_for_update(of=("self",)).get(pk=definition.pk)


def _plan_anew(definition: Definition, terms: SeriesTerms, *, at: datetime) -> None:
    """Say when the review to come begins by these terms; where they say nothing new of that, it may be hastened."""
    old = definition.plan
    if replace(terms.plan, first_number=old.first_number) != old:
        plan = terms.plan.following(old, definition.next_number, at=at)
        definition.first_number, definition.next_at = plan.first_number, plan.begins(definition.next_number)


def _write(definition: Definition, terms: SeriesTerms) -> None:
    for name in PLAIN:
        setattr(definition, name, getattr(terms, name))
    definition.name, definition.is_narrowed = definition.name.strip(), terms.scope is not None
    definition.full_clean(exclude=["created_by"])
    definition.save()
    for name in MANY:
        getattr(definition, name).set(getattr(terms, name))
    definition.stages.all().delete()
    for number, each in enumerate(terms.stages, start=1):
        _write_stage(definition, number, each)


def _write_stage(definition: Definition, number: int, terms: StageTerms) -> None:
    stage = Stage.objects.create(
        definition=definition, number=number, days=terms.days, reviewers=terms.reviewers, takes=terms.takes
    )
    for name in OF_STAGE:
        if named := getattr(terms, name):
            getattr(stage, name).add(*named)


def terms_of(definition: Definition) -> SeriesTerms:
    """Return what a stored series says."""
    values: dict[str, Any] = {name: getattr(definition, name) for name in PLAIN}
    values |= {name: tuple(getattr(definition, name).all()) for name in MANY}
    stages = definition.stages.prefetch_related(*OF_STAGE).order_by("number")
    return SeriesTerms(stages=tuple(map(_stage_terms_of, stages)), **values)


def _stage_terms_of(stage: Stage) -> StageTerms:
    many: dict[str, Any] = {name: tuple(getattr(stage, name).all()) for name in OF_STAGE}
    return StageTerms(days=stage.days, reviewers=stage.reviewers, takes=stage.takes, **many)


def facts_of(terms: SeriesTerms) -> dict[str, Any]:
    """Return what a series says, in plain values that can be compared, shown and kept."""
    facts: dict[str, Any] = {name: getattr(terms, name) for name in PLAIN}
    facts |= {"scope": str(terms.scope or ""), "begins_at": str(terms.begins_at)}
    facts |= {name: sorted(map(str, getattr(terms, name))) for name in MANY}
    facts["first_on"], facts["ends_on"] = str(terms.first_on), str(terms.ends_on or "")
    return facts | {"stages": [_stage_facts(stage) for stage in terms.stages]}


def _stage_facts(stage: StageTerms) -> dict[str, Any]:
    plain = {"days": stage.days, "reviewers": stage.reviewers, "takes": stage.takes}
    return plain | {name: sorted(map(str, getattr(stage, name))) for name in OF_STAGE}
