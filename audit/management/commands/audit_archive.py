import uuid
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_date

from audit.archiving import ArchiveRefused, archive_next, held_back_by
from audit.context import bind


class Command(BaseCommand):
    help = (
        "Puts the events from before a day into files that verifier/verify_audit.py reads, and takes them out of the "
        "database. Safe to interrupt: run it again, and it goes on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--before", required=True, help="A day, in UTC: 2026-01-01. Events of that day stay.")
        parser.add_argument("--to", required=True, help="The folder of the files. Keep them apart from this host.")

    def handle(self, *args: Any, **options: Any) -> None:
        before, folder = midnight(options["before"]), Path(options["to"])
        if not folder.is_dir():
            raise CommandError(f"There is no such folder: {folder}")
        done = 0
        try:
            with bind(correlation_id=uuid.uuid4().hex, via="command"):
                while row := archive_next(before=before, folder=folder):
                    done += 1
                    self.stdout.write(f"Events {row.first} to {row.last}: {row.file} (SHA-256 {row.digest})")
        except ArchiveRefused as refusal:
            raise CommandError("\n".join(refusal.messages)) from refusal
        except OSError as failure:
            raise CommandError(f"Not written, and nothing more is deleted: {failure}") from failure
        if names := held_back_by(before):
            self.stdout.write(f"The next ones stay until they are taken by: {', '.join(names)} (docs/siem.md).")
        elif not done:
            self.stdout.write("No events are that old, or no checkpoint ends there yet.")


def midnight(text: str) -> datetime:
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise CommandError(f"This is no day: {text}. Write one such as 2026-01-01.")
    return datetime.combine(day, time(), UTC)
