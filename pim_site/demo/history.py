"""The demo's last weeks: who asked for what, what others said to it, and what the worker did in between.

Every act is a call of the service that a page calls, with the clock set to its moment.
"""

import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.timezone import now

from accounts import factors
from accounts import services as accounts
from accounts.models import StepUpProof, User
from accounts.rules import intent_digest
from approvals import services as approvals
from approvals.models import EmergencyUse, Request
from approvals.rules import activation_facts, emergency_facts
from approvals.tasks import start_due, time_out_due
from assignments import services as assignments
from assignments.models import EligibleAssignment
from assignments.tasks import expire_due, remind_due
from audit.context import Origin, bind
from audit.services import record
from roles.services import save_settings

from . import clock
from .organisation import HELPDESK, LEFT, READER, REMOVED

if TYPE_CHECKING:
    from .seed import Cast

Service = Callable[..., Any]
WORKER_LATE = timedelta(seconds=20)


class Act(NamedTuple):
    """`by_worker`: nobody did it, the time had come."""

    at: datetime
    do: Callable[[], object]
    by_worker: bool = False


@dataclass(frozen=True)
class Word:
    """What somebody does with a request, so many minutes after it was asked."""

    minutes: float
    verb: str  # approve, deny, cancel, end, tighten; time_out is the worker's
    person: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Use:
    """One wish to use a role: by whom, how many days ago, for how many hours, and what became of it."""

    person: str
    role: str
    days: float
    hours: float
    reason: str
    ticket: str = ""
    words: tuple[Word, ...] = ()
    start_in: float = 0  # hours after asking


def minutes(number: float) -> float:
    """Minutes ago as days ago."""
    return number / 24 / 60


STORIES = (
    # Decided in every way.
    Use("egon.sand", "Ledger Database Operator", 38.2, 2, "Postings of October stand twice.", words=(
        Word(9, "approve", "approver", "Agreed; take a backup before."),)),
    Use("dina.wave", "Payments Releaser", 36.1, 1, "Weekly supplier run.", "PAY-2041", (
        Word(4, "approve", "second_approver", "Sums checked."),)),
    Use("timo.brine", "Recipe Vault Keeper", 33.4, 1, "New oat biscuit for the north plant.", words=(
        Word(30, "approve", "lena.kelp", "Approved recipe 118 only."),)),
    Use("vera.gull", "Payments Releaser", 31.2, 1, "Please, quickly.", "PAY-0", (
        Word(12, "deny", "approver", "No run is planned today, and this is not a ticket."),)),
    Use("egon.sand", "Ledger Database Operator", 29.0, 4, "Look at an index.", words=(
        Word(22, "deny", "second_approver", "Ledger Reader is enough to look."),)),
    Use("dina.wave", "Payments Releaser", 27.3, 1, "Weekly supplier run.", "PAY-2077", (
        Word(4 * 60, "time_out"),)),
    Use("carla.hull", "Backup Restorer", 26.1, 2, "Restore the shop's pictures.", "OPS-511", (
        Word(16, "approve", "milo.drift", "Into the test shop first."), Word(70, "end", "carla.hull"),)),
    Use("requester", "Ledger Database Operator", 24.2, 2, "Close September again.", words=(
        Word(7, "approve", "approver", "As discussed."), Word(65, "end", "requester"),)),
    Use("role_admin", "Directory Administrator", 22.1, 1, "Merge two accounts.", "DIR-77", (
        Word(40, "approve", "ines.shoal", "Seen the ticket."),)),
    Use("bela.rudder", "Server Administrator", 20.3, 2, "Kernel update of the north gateway.", words=(
        Word(10, "tighten", "global_admin"), Word(35, "approve", "ines.shoal", "Go ahead."),)),
    Use("alba.coral", "Recipe Vault Keeper", 17.2, 1, "Allergens of recipe 93.", words=(
        Word(6, "cancel", "alba.coral"),)),
    Use("bela.rudder", "Server Administrator", 16.2, 2, "Kernel update, now with a ticket.", "OPS-530", (
        Word(14, "approve", "approver", "Outside opening hours, please."),)),
    Use("requester", "Payroll Clerk", 14.1, 4, "Corrections for November.", "HR-310", (
        Word(90, "end", "requester"),)),
    Use("dina.wave", "Payments Releaser", 13.2, 1, "Weekly supplier run.", "PAY-2101", (
        Word(3, "approve", "approver", "Sums checked."),)),
    Use("requester", "Ledger Database Operator", 10.3, 4, "Try a faster report.", words=(
        Word(18, "deny", "second_approver", "Use the copy in the test system."),)),
    Use("carla.hull", "Server Administrator", 8.1, 1, "Shop server does not answer.", "OPS-544", (
        Word(2, "approve", "milo.drift", "Now!"),)),
    Use("timo.brine", "Recipe Vault Keeper", 7.2, 1, "Sugar in recipe 40.", words=(
        Word(24 * 60, "time_out"),)),
    Use("requester", READER, 6.1, 2, "Answer the auditors' questions.", words=(
        Word(24 * 60, "time_out"),)),
    Use("dina.wave", "Payments Releaser", 6.3, 1, "Weekly supplier run.", "PAY-2133", (
        Word(11, "approve", "second_approver", "Sums checked."),)),
    Use("helpdesk", HELPDESK, 5.2, 3, "New colleague in Toronto."),
    Use("henk.oar", HELPDESK, 4.4, 4, "Phones of the warehouse were replaced.", words=(
        Word(100, "end", "global_admin", "Shift is over."),)),
    Use("requester", "Ledger Reader", 2.2, 6, "Quarter figures for the board."),
    Use("ruben.fjord", "Fleet Planner", 1.4, 8, "", start_in=20, words=(
        Word(300, "cancel", "ruben.fjord"),)),
    # In force, waiting and to come, as seen today.
    Use("gina.compass", "Backup Restorer", 0.9, 2, "Restore test of the quarter.", "OPS-560", (
        Word(45, "approve", "approver", "As every quarter."),), start_in=40),
    Use("zoe.current", "Fleet Planner", 0.3, 10, "", start_in=24),
    Use("hugo.pier", HELPDESK, minutes(150), 8, "Early shift."),
    Use("tessa.bay", "Warehouse Operator", minutes(130), 8, "Stocktaking in hall 2."),
    Use("alba.coral", "Recipe Vault Keeper", minutes(120), 1, "Salt in recipe 12."),
    Use("dario.stern", "Web Shop Deployer", minutes(70), 4, "Version 8.2 of the shop.", "WEB-902"),
    Use("vera.gull", "Payments Releaser", minutes(50), 1, "Refunds of the week.", "PAY-2140"),
    Use("jens.eddy", "Line Control Engineer", minutes(40), 4, "Oven 3 runs too hot.", "LINE-88"),
    Use("role_admin", "Directory Administrator", minutes(35), 1, "Rename a mail domain.", "DIR-91"),
    Use("carla.hull", "Server Administrator", minutes(30), 1, "Disk is full on the shop server.", "OPS-571", (
        Word(6, "approve", "ines.shoal", "Only the logs, please."),)),
    Use("egon.sand", "Ledger Database Operator", minutes(25), 2, "Postings of November stand twice."),
)  # fmt: skip
# What happens every fourth day and needs nobody else.
ROUTINE = (
    ("requester", "Ledger Reader", 4, "Daily balance.", ""),
    ("egon.sand", "Payroll Clerk", 3, "Changes of the week.", "HR-2{:02}"),
    ("ruben.fjord", "Fleet Planner", 8, "", ""),
    ("dina.wave", "Ledger Reader", 2, "Question of a supplier.", ""),
    ("dario.stern", "Web Shop Deployer", 2, "Planned release.", "WEB-8{:02}"),
    ("tessa.bay", "Warehouse Operator", 6, "Late delivery.", ""),
    ("nora.foam", "Payroll Clerk", 2, "Bonus list.", "HR-3{:02}"),
    ("hugo.pier", HELPDESK, 4, "Forgotten passwords.", ""),
    ("ivan.strand", "Staff Records Editor", 1.5, "New contracts.", ""),
    ("dario.stern", "Database Reader", 2, "A slow query.", ""),
)
# Who asks to keep, or to get back, what ends or has ended: days ago, and whether it is over already.
EXTENDING = (
    ("emma.bow", "Web Shop Deployer", 0.3, False, "The release train goes on until spring."),
    ("oskar.ebb", "Warehouse Operator", 0.2, True, "Covers for the night shift again."),
)
# Roles taken without approval: days ago, whether it was a drill, why, and what was found out about it.
EMERGENCIES = (
    (
        "egon.sand",
        "Ledger Database Operator",
        15.4,
        True,
        "Drill of the quarter.",
        "Told beforehand; took two minutes.",
    ),
    ("approver", "Ledger Database Operator", 3.2, False, "Postings stood still at night, nobody answered.", ""),
)
REMINDING_DAYS = range(32, -1, -4)
ROUTINE_DAYS = range(39, 1, -4)


def routine() -> Iterator[Use]:
    for day, (person, role, hours, reason, ticket) in zip(
        ROUTINE_DAYS, islice(cycle(ROUTINE), len(ROUTINE_DAYS)), strict=True
    ):
        yield Use(person, role, day + 0.05, hours, reason, ticket.format(day))


def acts(cast: "Cast", today: datetime) -> Iterator[Act]:
    for use in (*STORIES, *routine()):
        yield from Episode(cast, use, today).acts()
    for person, role, days, reason in REMOVED:
        yield Act(today - timedelta(days=days), partial(remove, cast, person, role, reason))
    for person, role, ago, over, reason in EXTENDING:
        yield Act(today - timedelta(days=ago), partial(ask_for_more, cast, person, role, over, reason))
    for person, role, days_ago, drill, reason, found in EMERGENCIES:
        taken_at = today - timedelta(days=days_ago)
        yield Act(taken_at, partial(take_in_emergency, cast, person, role, drill, reason))
        yield Act(taken_at + timedelta(hours=1) + WORKER_LATE, expire_due, by_worker=True)
        if found:
            yield Act(taken_at + timedelta(days=1), partial(review, cast, person, found))
    person, days, reason = LEFT
    yield Act(
        today - timedelta(days=days),
        lambda: assignments.disable_person(user=cast.people[person], actor=cast.boss, justification=reason),
    )
    for day in REMINDING_DAYS:
        yield Act(today - timedelta(days=day), remind_due, by_worker=True)


def play(story: list[Act], *, until: datetime) -> None:
    """Do each act at its moment, in order; what would come after `until` is left out."""
    for act in sorted(story, key=lambda act: act.at):
        if act.at > until:
            break
        with clock.set_to(act.at), by_worker() if act.by_worker else on_page():
            act.do()


def on_page() -> AbstractContextManager[Origin]:
    """The origin of what is done on a page; the address is one of those kept for documentation (RFC 5737)."""
    return bind(correlation_id=uuid.uuid4().hex, address="192.0.2.17", via="session totp")


def by_worker() -> AbstractContextManager[Origin]:
    return bind(correlation_id=uuid.uuid4().hex)


def eligibility(cast: "Cast", person: str, role: str) -> EligibleAssignment:
    mine = EligibleAssignment.objects.open().described()
    return mine.get(user=cast.people[person], role=cast.role(role))  # type: ignore[no-any-return]


def remove(cast: "Cast", person: str, role: str, reason: str) -> None:
    approvals.remove_eligible(eligible=eligibility(cast, person, role), actor=cast.boss, justification=reason)


def ask_for_more(cast: "Cast", person: str, role: str, over: bool, reason: str) -> None:
    mine = EligibleAssignment.objects.of(cast.people[person]).described().filter(role=cast.role(role))
    ask = approvals.self_renew if over else approvals.self_extend
    ask(assignment=mine.latest("ends_at"), actor=cast.people[person], justification=reason)


def take_in_emergency(cast: "Cast", person: str, role: str, drill: bool, reason: str) -> None:
    actor, eligible = cast.people[person], eligibility(cast, person, role)
    asked: dict[str, Any] = {"eligible": eligible, "justification": reason, "drill": drill}
    session = signed_in(actor)
    proof = proved(actor, session, "emergency.used", **emergency_facts(scope=eligible.scope, **asked))
    approvals.activate_in_emergency(actor=actor, proof=proof, session=session, **asked)


def review(cast: "Cast", person: str, found: str) -> None:
    use = EmergencyUse.objects.get(user=cast.people[person])
    approvals.review_emergency(use=use, actor=cast.boss, finding=EmergencyUse.Finding.JUSTIFIED, justification=found)


class Episode:
    """One use of a role, from the question to its end."""

    def __init__(self, cast: "Cast", use: Use, today: datetime) -> None:
        self.cast, self.use = cast, use
        self.asked_at = today - timedelta(days=use.days)
        self.starts_at = self.asked_at + timedelta(hours=use.start_in)
        self.request = Request()

    def acts(self) -> Iterator[Act]:
        yield Act(self.asked_at, self.ask)
        begins = self.starts_at
        for word in self.use.words:
            at = self.asked_at + timedelta(minutes=word.minutes)
            begins = max(begins, at)
            if word.verb == "time_out":
                yield Act(at + WORKER_LATE, time_out_due, by_worker=True)
            else:
                yield Act(at, partial(self.hear, word))
        if self.use.start_in:
            yield Act(self.starts_at + WORKER_LATE, start_due, by_worker=True)
        yield Act(begins + timedelta(hours=self.use.hours) + WORKER_LATE, expire_due, by_worker=True)

    def ask(self) -> None:
        use, person = self.use, self.cast.people[self.use.person]
        eligible = eligibility(self.cast, use.person, use.role)
        asked: dict[str, Any] = {
            "eligible": eligible,
            "scope": eligible.scope,
            "starts_at": self.starts_at if use.start_in else None,
            "duration": timedelta(hours=use.hours),
            "justification": use.reason,
            "ticket": use.ticket,
            "ticket_system": "Tickets" if use.ticket else "",
        }
        session = signed_in(person)
        proof = proved(person, session, "activation.requested", **activation_facts(**asked))
        self.request = approvals.activate(actor=person, proof=proof, session=session, **asked)

    def hear(self, word: Word) -> None:
        person = self.cast.people[word.person]
        request = Request.objects.described().get(pk=self.request.pk)
        match word.verb:
            case "approve":
                approvals.approve(request=request, actor=person, justification=word.reason)
            case "deny":
                approvals.deny(request=request, actor=person, justification=word.reason)
            case "cancel":
                approvals.cancel(request=request, actor=person, justification=word.reason)
            case "end" if request.active_assignment:
                approvals.deactivate(active=request.active_assignment, actor=person, justification=word.reason)
            case "tighten":
                save_settings(role=request.role, scope=request.settings.scope, actor=person, ticket_required=True)


def signed_in(person: User) -> str:
    """Sign in, and return the name of the session."""
    session = secrets.token_urlsafe(16)
    accounts.sign_in(user=person, proof=proved(person, session, "session.started"), session=session)
    return session


def proved(person: User, session: str, action: str, **facts: Any) -> StepUpProof:
    """The proof that `accounts.services.prove` would give; that commits by itself and cannot be part of a whole."""
    proof = StepUpProof.objects.create(
        user=person,
        session_digest=factors.digest(session),
        intent_digest=intent_digest(action, **facts),
        method="totp",
        created_at=now(),
    )
    record("step_up.proved", actor=person, target=person, subject=person, after={"method": "totp"})
    return proof


def refusals(cast: "Cast") -> None:
    """A few things that are not allowed, so that the audit shows what that looks like."""
    reader, operator = (eligibility(cast, "requester", role) for role in ("Ledger Reader", "Ledger Database Operator"))
    mine, hour = cast.people["requester"], timedelta(hours=1)
    pending = Request.objects.pending().get(user=cast.people["egon.sand"])
    refused: list[Callable[[], Any]] = [
        partial(approvals.activate, eligible=reader, actor=mine, duration=24 * hour, justification="All day."),
        partial(approvals.activate, eligible=operator, actor=mine, duration=hour),
        partial(approvals.approve, request=pending, actor=cast.people["outsider"], justification="Fine."),
    ]
    for act in refused:
        with suppress(ValidationError, PermissionDenied), on_page():
            act()
