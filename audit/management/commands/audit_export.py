from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.checkpoints import CheckpointRefused, checkpoint
from audit.exporting import lines
from audit.files import write_whole


class Command(BaseCommand):
    help = "Signs a checkpoint and writes all events that it covers into a file that verifier/verify_audit.py reads."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="Where to write it.")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["file"])
        try:
            made = checkpoint()
            write_whole(path, lines(made))
        except CheckpointRefused as refusal:
            raise CommandError("\n".join(refusal.messages)) from refusal
        except OSError as failure:
            raise CommandError(f"Nothing was written: {failure}") from failure
        self.stdout.write(f"{made.size} events and their checkpoint: {path}")
