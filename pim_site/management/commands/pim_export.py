from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.files import write_whole
from pim_site.ascode.present import export


class Command(BaseCommand):
    help = "Writes people, groups, resources, roles, settings and assignments as one YAML file, without secrets."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", default="", help="Where to write it; without one, to the terminal.")

    def handle(self, *args: Any, **options: Any) -> None:
        text = export()
        if not options["file"]:
            self.stdout.write(text, ending="")
            return
        try:
            write_whole(Path(options["file"]), [text])
        except OSError as failure:
            raise CommandError(f"Nothing was written: {failure}") from failure
