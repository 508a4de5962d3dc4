"""What a series may be, who may answer, what is recommended, and what comes of an answer.

Nothing here reads the clock or writes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import Group, User
from accounts.rules import says_nothing
from assignments.rules import HORIZON
from roles.models import Resource, Role

from .models import Answer, Definition, Instance, Item, Stage
from .schedule import LONGEST, MORNING, Plan, Recurrence

MOST_STAGES = 3
MOST_INACTIVE_DAYS = 730  # Entra: access reviews of inactive users
MOST_COUNT = 1000
# One form, and one wait for the page.
MOST_AT_ONCE = 200
DECISIVE = {Item.Verdict.APPROVED: Item.Outcome.KEEP, Item.Verdict.DENIED: Item.Outcome.REMOVE}


class SeriesRefused(ValidationError):
    """A series of reviews was not made or changed.

    Codes: ``name_required``, ``nothing_to_review``, ``scope_invalid``, ``reviewers_required``, ``fallback_required``,
    ``reviewer_invalid``, ``told_invalid``, ``group_not_protected``, ``stages_invalid``, ``overlaps``,
    ``schedule_invalid``, ``in_progress``, ``already_ended``, ``nothing_to_begin``, ``maker_gone``.
    """


class ReviewRefused(ValidationError):
    """Something was not done in a review.

    Codes: ``not_open``, ``already_ended``, ``not_completed``, ``nothing_to_do``, ``not_asked``, ``own_access``,
    ``privileged_one_by_one``, ``justification_required``, ``nothing_chosen``, ``too_many``, ``reviewer_invalid``,
    ``out_of_reach``.
    """


@dataclass(frozen=True, kw_only=True)
class StageTerms:
    """A stage as somebody wants it; `Stage` keeps it. The order in the series is its number."""

    days: int
    reviewers: str
    people: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    fallback: tuple[User, ...] = ()
    fallback_groups: tuple[Group, ...] = ()
    takes: str = Stage.Takes.ALL


@dataclass(frozen=True, kw_only=True)
class SeriesTerms:
    """A series as somebody wants it; `Definition` says what each means."""

    name: str
    first_on: date
    stages: tuple[StageTerms, ...]
    description: str = ""
    covers: str = Definition.Covers.ROLES
    roles: tuple[Role, ...] = ()
    groups: tuple[Group, ...] = ()
    scope: Resource | None = None
    principals: str = User.Kind.PERSON
    kinds: str = Definition.Kinds.BOTH
    inactive_days: int | None = None
    begins_at: time = MORNING
    time_zone: str = "UTC"
    recurrence: str = Recurrence.ONCE
    ends_on: date | None = None
    count: int | None = None
    no_answer: str = Definition.NoAnswer.NO_CHANGE
    applies_itself: bool = False
    reason_required: bool = True
    recommends: bool = True
    look_back_days: int = 30
    mails: bool = True
    reminds: bool = True
    words: str = ""
    told: tuple[User, ...] = ()

    @property
    def plan(self) -> Plan:
        return Plan(self.first_on, self.begins_at, self.time_zone, self.recurrence, self.ends_on, self.count)


def check_series(terms: SeriesTerms, *, next_at: datetime | None, at: datetime) -> None:
    """Refuse a series that could not be carried out as it says.

    Args:
        next_at: when its next review would begin; None: never.

    Raises:
        SeriesRefused: with what to do in its text.
    """
    if says_nothing(terms.name):
        raise SeriesRefused(_("Give the series a name that reviewers understand."), code="name_required")
    _check_covered(terms)
    _check_stages(terms)
    _check_told(terms.told)
    _check_times(terms, next_at, at=at)


def _check_covered(terms: SeriesTerms) -> None:
    named = {
        Definition.Covers.ROLES: bool(terms.roles),
        Definition.Covers.RESOURCE: terms.scope is not None,
        Definition.Covers.GROUPS: bool(terms.groups),
    }
    if not named[Definition.Covers(terms.covers)]:
        text = _("Choose what is reviewed: roles, a resource, or groups.")
        raise SeriesRefused(text, code="nothing_to_review")
    if terms.inactive_days is not None and not 1 <= terms.inactive_days <= MOST_INACTIVE_DAYS:
        text = _("Choose between 1 and %(days)d days of inactivity, or leave it empty.")
        raise SeriesRefused(text % {"days": MOST_INACTIVE_DAYS}, code="scope_invalid")
    if not 1 <= terms.look_back_days <= MOST_INACTIVE_DAYS:
        text = _("Recommendations look back between 1 and %(days)d days.")
        raise SeriesRefused(text % {"days": MOST_INACTIVE_DAYS}, code="scope_invalid")


def _check_stages(terms: SeriesTerms) -> None:
    if not 1 <= len(terms.stages) <= MOST_STAGES:
        text = _("A review has between one and %(most)d stages.")
        raise SeriesRefused(text % {"most": MOST_STAGES}, code="stages_invalid")
    for stage in terms.stages:
        _check_stage(stage, terms)


def _check_stage(stage: StageTerms, terms: SeriesTerms) -> None:
    kinds = Stage.Reviewers
    if stage.days < 1:
        raise SeriesRefused(_("A stage lasts at least one day."), code="stages_invalid")
    if stage.reviewers == kinds.NAMED and not (stage.people or stage.groups):
        raise SeriesRefused(_("Name at least one reviewer: a person or a group."), code="reviewers_required")
    if stage.reviewers != kinds.NAMED and not (stage.fallback or stage.fallback_groups):
        text = _("Name a person or a group to fall back on, for access that has no such reviewer.")
        raise SeriesRefused(text, code="fallback_required")
    if terms.principals == User.Kind.SERVICE and stage.reviewers in (kinds.THEMSELVES, kinds.MANAGERS):
        text = _("Service accounts answer no reviews. Name people, or let the owners answer.")
        raise SeriesRefused(text, code="reviewer_invalid")
    check_reviewers([*stage.people, *stage.fallback])
    check_reviewer_groups([*stage.groups, *stage.fallback_groups])


def check_reviewers(people: Collection[User]) -> None:
    """Only enabled people answer reviews."""
    if wrong := _unable(people):
        text = _("%(user)s cannot review: the account is disabled, or no person's.")
        raise SeriesRefused(text % {"user": wrong}, code="reviewer_invalid")


def _check_told(people: Collection[User]) -> None:
    """Only enabled people are told, and may read the results."""
    if wrong := _unable(people):
        text = _("%(user)s cannot be told when a review has ended: the account is disabled, or no person's.")
        raise SeriesRefused(text % {"user": wrong}, code="told_invalid")


def _unable(people: Collection[User]) -> User | None:
    return next((person for person in people if not (person.is_active and person.is_person)), None)


def check_reviewer_groups(groups: Collection[Group]) -> None:
    """A group that is not protected decides nothing: whoever manages groups could put reviewers into it."""
    if open_group := next((group for group in groups if not group.is_protected), None):
        text = _("%(group)s is not protected, so anybody who manages groups could make reviewers. Protect it first.")
        raise SeriesRefused(text % {"group": open_group}, code="group_not_protected")


def _check_times(terms: SeriesTerms, next_at: datetime | None, *, at: datetime) -> None:
    longest = LONGEST[Recurrence(terms.recurrence)]
    if sum(stage.days for stage in terms.stages) > longest:
        text = _("With this recurrence all stages together last at most %(days)d days, or reviews would overlap.")
        raise SeriesRefused(text % {"days": longest}, code="overlaps")
    if terms.time_zone not in available_timezones():
        raise SeriesRefused(_("Choose a time zone by its name. Example: Europe/Berlin."), code="schedule_invalid")
    if terms.count is not None and not 1 <= terms.count <= MOST_COUNT:
        text = _("Choose between 1 and %(most)d reviews, or leave it empty.")
        raise SeriesRefused(text % {"most": MOST_COUNT}, code="schedule_invalid")
    if next_at is None:
        raise SeriesRefused(
            _("No review would ever begin. Choose a new first day, or a later end."), code="schedule_invalid"
        )
    if not at - timedelta(days=1) <= next_at <= at + HORIZON:
        raise SeriesRefused(_("Choose a first day from today on, within ten years."), code="schedule_invalid")


def check_not_running(definition: Definition, *, running: bool) -> None:
    """What people are being asked does not change under their hands."""
    if definition.discontinued_at is not None:
        raise SeriesRefused(_("This series was discontinued. Define a new one."), code="already_ended")
    if running:
        text = _("A review of this series is in progress. Change the series when it has ended, or stop it first.")
        raise SeriesRefused(text, code="in_progress")


def check_stays(definition: Definition, terms: SeriesTerms) -> None:
    """A series of owners stays at its resource: its reviews would be shown to the owners of another."""
    stays = terms.covers != Definition.Covers.GROUPS and terms.scope is not None and terms.scope == definition.scope
    if definition.of_owners and not stays:
        text = _("This series is of the owners of its resource, and stays there. Define a new one for anything else.")
        raise SeriesRefused(text, code="scope_invalid")


def check_to_come(definition: Definition, *, backed: bool) -> None:
    """Refuse unless there is a review that can begin.

    Args:
        backed: of a series of owners, who defined it still has the right to.
    """
    if definition.next_at is None:
        text = _("The last review of this series has begun already. Give the series a new first day, or a later end.")
        raise SeriesRefused(text, code="nothing_to_begin")
    if not backed:
        text = _(
            "Who defined this series does not own the resource any more, so no review begins. Define a new series."
        )
        raise SeriesRefused(text, code="maker_gone")


# --- answering ------------------------------------------------------------------------------------------------


def check_open(instance: Instance, *, at: datetime) -> None:
    if not instance.is_open(at):
        text = _("This review is not open any more. Nothing was changed.")
        raise ReviewRefused(text, code="not_open")


def check_chosen(*, wanted: int, asked: Sequence[Item], privileged_alone: bool = True) -> None:
    """Refuse an answer to nothing, to too much, to what one is not asked, and to privileged access in passing.

    Args:
        wanted: how many items were named.
        asked: those of them about which the person is asked.
    """
    if not wanted:
        raise ReviewRefused(_("Choose what you want to answer."), code="nothing_chosen")
    if wanted > MOST_AT_ONCE:
        text = _("Answer at most %(most)d at once.")
        raise ReviewRefused(text % {"most": MOST_AT_ONCE}, code="too_many")
    if len(asked) != wanted:
        text = _("You are not asked about this access, or not any more. Nothing was changed.")
        raise ReviewRefused(text, code="not_asked")
    if privileged_alone and wanted > 1 and any(item.is_privileged for item in asked):
        text = _("Privileged access is answered one by one. Leave it out, and look at each by itself.")
        raise ReviewRefused(text, code="privileged_one_by_one")


def check_not_own(items: Collection[Item], user: User, stage: Stage) -> None:
    """Nobody reviews their own access, unless the stage asks each person for themselves."""
    if stage.reviewers != Stage.Reviewers.THEMSELVES and any(item.user_id == user.pk for item in items):
        raise ReviewRefused(_("Nobody reviews their own access. Somebody else is asked."), code="own_access")


def check_reason(definition: Definition, verdict: str, justification: str) -> None:
    if definition.reason_required and verdict != Item.Verdict.DONT_KNOW and says_nothing(justification):
        raise ReviewRefused(_("Say why: this review asks for a reason."), code="justification_required")


def check_own_words(items: Collection[Item]) -> None:
    """Nobody takes back what somebody else said.

    Args:
        items: those about which the person has said something in the present stage.
    """
    if not items:
        text = _("You have not answered this yourself in this stage, so there is nothing to take back. Answer it.")
        raise ReviewRefused(text, code="nothing_to_do")


def counting(words: Sequence[Answer]) -> Answer | None:
    """Return the answer that counts: the last that says keep or remove, of whoever and in whichever stage.

    "Don't know" says that the question was answered in its stage, and nothing against what anybody else said.

    Args:
        words: the last of each person in each stage (`AnswerQuerySet.standing`), the oldest first.
    """
    decisive = [word for word in words if word.verdict in DECISIVE]
    return next(iter((decisive or list(words))[-1:]), None)


def nothing_to_reassign() -> ReviewRefused:
    return ReviewRefused(_("This person is asked nothing any more in this review."), code="nothing_to_do")


def check_can_end(instance: Instance) -> None:
    if instance.state not in (Instance.State.STARTING, Instance.State.IN_PROGRESS):
        raise ReviewRefused(_("This review has ended already. Nothing was changed."), code="already_ended")


def check_in_reach(*, in_reach: bool) -> None:
    """A series of owners takes away what owners decide about, as it is when it is taken away."""
    if not in_reach:
        text = _("The owners who reviewed this do not decide about it any more. Have an administrator look at it.")
        raise ReviewRefused(text, code="out_of_reach")


def check_can_apply(instance: Instance, *, left: bool) -> None:
    """Refuse unless there are results to carry out, for the first time or after a failure.

    Args:
        left: some removals are not done, or have failed.
    """
    done, over = Instance.State.APPLIED, Instance.State.COMPLETED
    if instance.state not in (done, over):
        raise ReviewRefused(_("The results can be applied when the review has ended."), code="not_completed")
    if instance.state == done and not left:
        raise ReviewRefused(_("All results are applied already."), code="nothing_to_do")


# --- what is recommended, and what comes of it ---------------------------------------------------------------


@dataclass(frozen=True)
class Use:
    """What is known of an access when a review begins.

    Attributes:
        activated: whether it is used by activating it; otherwise signing in is all that is known of its use.
        since: from when on it could be used, at the earliest.
    """

    enabled: bool
    activated: bool
    since: datetime | None
    last_used_at: datetime | None
    last_sign_in_at: datetime | None


def recommend(use: Use, *, look_back: timedelta, at: datetime) -> tuple[Item.Recommendation, Item.Cause]:
    """Return what to do with an access, and why. What is new is neither used nor useless yet."""
    lately, new = at - look_back, use.since is not None and use.since > at - look_back
    if not use.enabled:
        return Item.Recommendation.REMOVE, Item.Cause.DISABLED
    last = use.last_used_at if use.activated else use.last_sign_in_at
    if last is not None and last >= lately:
        return Item.Recommendation.KEEP, Item.Cause.USED if use.activated else Item.Cause.SIGNED_IN
    if new:
        return Item.Recommendation.NONE, Item.Cause.NEW
    if last is None:
        return Item.Recommendation.REMOVE, Item.Cause.NEVER_USED if use.activated else Item.Cause.NEVER_SIGNED_IN
    return Item.Recommendation.REMOVE, Item.Cause.NOT_USED if use.activated else Item.Cause.NOT_SIGNED_IN


def weight(*, is_privileged: bool, recommendation: str, cause: str) -> int:
    """Return how soon somebody should look at it: what is useless and privileged first."""
    useless = recommendation == Item.Recommendation.REMOVE
    never = cause in (Item.Cause.NEVER_USED, Item.Cause.NEVER_SIGNED_IN, Item.Cause.DISABLED)
    return 4 * useless + 2 * is_privileged + (useless and never)


def outcome(verdict: str, *, no_answer: str, recommendation: str, was_stopped: bool = False) -> Item.Outcome:
    """Return what comes of an item when its review ends.

    Args:
        verdict: of the answer that counts.
        no_answer: one of `Definition.NoAnswer`, which counts also where nobody knew; in a review that was stopped,
            nothing comes of either.
    """
    if verdict in DECISIVE:
        return DECISIVE[Item.Verdict(verdict)]
    if was_stopped:
        return Item.Outcome.NO_CHANGE
    recommended = {Item.Recommendation.KEEP: Item.Outcome.KEEP, Item.Recommendation.REMOVE: Item.Outcome.REMOVE}
    return {
        Definition.NoAnswer.NO_CHANGE: Item.Outcome.NO_CHANGE,
        Definition.NoAnswer.REMOVE: Item.Outcome.REMOVE,
        Definition.NoAnswer.APPROVE: Item.Outcome.KEEP,
        Definition.NoAnswer.RECOMMENDATION: recommended.get(
            Item.Recommendation(recommendation), Item.Outcome.NO_CHANGE
        ),
    }[Definition.NoAnswer(no_answer)]
