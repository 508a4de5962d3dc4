import sys
import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from audit.context import bind
from pim_site.ascode import services
from pim_site.ascode.document import LARGEST_FILE, FileRefused
from pim_site.ascode.reading import read

CHANGES_WAIT = 2


class Command(BaseCommand):
    help = (
        "Says what a YAML file of `pim_export` would change here, and with --apply changes it, all or nothing. "
        "Exit status: 0 nothing to do or done, 1 refused, 2 there is something to do."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="The file; - for standard input.")
        parser.add_argument("--apply", action="store_true", help="Change it.")
        parser.add_argument(
            "--prune",
            action="store_true",
            help="End what the file leaves out of roles that it describes; emergency people keep what they have.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            document = read(_content(options["file"]))
            with bind(correlation_id=uuid.uuid4().hex, via="command"):
                if options["apply"]:
                    plan = services.apply(actor=None, document=document, prune=options["prune"])
                else:
                    plan = services.plan(document=document, prune=options["prune"])
        except FileRefused as refusal:
            raise CommandError("\n".join([_("Refused, nothing was changed:"), *map(str, refusal.faults)])) from refusal
        if not plan.changes:
            self.stdout.write(_("Nothing to do: everything is as the file says."))
            return
        for change in plan.changes:
            self.stdout.write(str(change))
        if options["apply"]:
            self.stdout.write(_("Done: %(summary)s.") % {"summary": plan.summary})
            return
        self.stdout.write(_("With --apply: %(summary)s. Nothing was changed yet.") % {"summary": plan.summary})
        sys.exit(CHANGES_WAIT)


def _content(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(LARGEST_FILE + 1)
        with Path(name).open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CommandError(str(error)) from error
