import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.models import Checkpoint
from audit.proving import consistency_proof, inclusion_proof


class Command(BaseCommand):
    help = (
        "Prints a proof as JSON, for verifier/verify_audit.py: that an event is in the log, or what became of it since."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--event", type=int, help="The number of an event: it is in the log of the last checkpoint.")
        what.add_argument("--since", type=int, help="A number of events: the log of a checkpoint over so many goes on.")

    def handle(self, *args: Any, **options: Any) -> None:
        newest, n = Checkpoint.objects.first(), options["event"]
        if newest is None:
            raise CommandError("There is no checkpoint yet: manage.py audit_checkpoint")
        try:
            proof = since(options["since"], newest) if n is None else inclusion_proof(n, newest)
        except ValidationError as refusal:
            raise CommandError("; ".join(refusal.messages)) from refusal
        self.stdout.write(json.dumps(proof, ensure_ascii=False))


def since(size: int, newest: Checkpoint) -> dict[str, Any]:
    old = Checkpoint.objects.filter(size=size).first()
    if old is None:
        raise CommandError(f"There is no checkpoint over {size} events.")
    return consistency_proof(old, newest)
