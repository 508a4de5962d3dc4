from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

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
            Path(options["file"]).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(str(error)) from error
