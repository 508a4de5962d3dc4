import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils.timezone import now

from accounts.links import link
from accounts.models import EnrolmentTicket
from approvals import services as approvals
from assignments import services as assignments
from assignments.models import holders_in_force
from audit.context import bind
from pim_site.templatetags.pim import duration
from roles.models import Resource, Role

QUESTIONS = {"username": "Username", "email": "E-mail address", "name": "Name, as others see it"}


class Command(BaseCommand):
    help = (
        "Makes the first administrator and prints the link with which this person sets a password and a second factor."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        for name, question in QUESTIONS.items():
            parser.add_argument(f"--{name}", default="", help=f"{question}; asked where it is not given.")
        parser.add_argument("--another", action="store_true", help="Also where somebody administers this site already.")

    def handle(self, *args: Any, **options: Any) -> None:
        if holders_in_force(Role.GLOBAL_ADMINISTRATOR, at=now()).exists() and not options["another"]:
            raise CommandError(
                "This site has an administrator, who can make others in the console. "
                "If nobody can sign in any more, say --another."
            )
        username, email, name = (options[field] or answer(field) for field in QUESTIONS)
        try:
            secret = create_administrator(username=username, email=email, name=name)
        except ValidationError as refusal:
            raise CommandError("; ".join(refusal.messages)) from refusal
        time = duration(EnrolmentTicket.LIFETIME)
        self.stdout.write(f"{name} is Global Administrator. Open this link within {time}; it works once:")
        self.stdout.write(link("accounts:enrol", secret))


def answer(field: str) -> str:
    try:
        return input(f"{QUESTIONS[field]}: ")
    except EOFError as nobody:
        raise CommandError(f"Nobody is there to be asked: give --{field}.") from nobody


def create_administrator(*, username: str, email: str, name: str) -> str:
    """Make a person, Global Administrator for good; return the secret of their enrolment, all or nothing.

    Raises:
        ValidationError: a field is wrong or taken, or the role's settings allow no permanent active assignment.
    """
    with transaction.atomic(), bind(correlation_id=uuid.uuid4().hex, via="command"):
        person = assignments.create_person(actor=None, username=username, email=email, display_name=name)
        approvals.assign_active(
            holder=person,
            role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR),
            scope=Resource.objects.get(path="/"),
            actor=None,
            justification="Made on the command line.",
        )
        return assignments.issue_enrolment(user=person, actor=None)
