import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.checkpoints import notes_in
from audit.models import Checkpoint
from audit.verifying import Report, verify

BROKEN = 1


class Command(BaseCommand):
    help = (
        "Reads the whole audit log and says whether it is what was written. Exit status: 0 it is, 1 it is not. "
        "Give it the checkpoints that were kept elsewhere: without those, an older copy looks sound."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "checkpoints", nargs="*", help="Files of checkpoints: PIM_AUDIT_CHECKPOINT_FILE, or a mail."
        )
        parser.add_argument("--new", action="store_true", help="Read only what is new since the last checkpoint here.")

    def handle(self, *args: Any, **options: Any) -> None:
        notes = [note for name in options["checkpoints"] for note in read(name)]
        since = Checkpoint.objects.first() if options["new"] else None
        try:
            report = verify(notes, since=since)
        except ValueError as error:
            raise CommandError("A key in PIM_AUDIT_KEYS or PIM_AUDIT_OLD_KEYS is none.") from error
        for fault in report.faults:
            self.stderr.write(str(fault))
        self.stdout.write(summary(report))
        if report.faults:
            sys.exit(BROKEN)


def summary(report: Report) -> str:
    verdict = "NOT what was written" if report.faults else "as it was written"
    root = report.root.hex()
    lines = [f"The log is {verdict}: {report.size} events, root {root}.", f"{report.checkpoints} checkpoints hold."]
    if not report.checkpoints:
        lines.append("No signed checkpoint was compared: whoever owns the database could have rewritten all of it.")
    if report.archived:
        lines.append(f"Events 1 to {report.archived} are in archives, as is signed; those are verified on their own.")
    if report.uncompared:
        lines.append(
            f"{report.uncompared} checkpoints that you gave are of events in archives and were not compared: "
            "give them to verifier/verify_audit.py, with an export and each of the archives as --archive."
        )
    if report.removable:
        lines.append(f"{report.removable} archived events are still here: run manage.py audit_archive again.")
    if report.waiting:
        lines.append(f"{report.waiting} events wait for a number.")
    return "\n".join(lines)


def read(name: str) -> list[str]:
    try:
        notes = notes_in(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"This is no file of checkpoints: {name}: {error}") from error
    if not notes:
        raise CommandError(f"There is no checkpoint in {name}.")
    return notes
