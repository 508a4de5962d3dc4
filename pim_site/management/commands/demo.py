from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from audit.tasks import checkpoint_due, seal_due
from pim_site.demo import credentials, empty, seed


class Command(BaseCommand):
    help = "Prepares the database of the demo: tables, and once the fictional people, roles and their last weeks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tables", action="store_true", help="the tables alone, kept for the next new demo")

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG and settings.DEMO):
            raise CommandError("The demo is only for PIM_DEBUG=1 and PIM_DEMO=1: its passwords are known to everybody.")
        make_tables()
        if options["tables"]:
            return
        made = seed.seed()
        seal_due()
        checkpoint_due()  # or the console would say, until the worker comes to it, that nothing was signed
        path = credentials.write()
        self.stdout.write(f"{'Made the demo' if made else 'The demo is there already'}; how to sign in: {path}")


def make_tables() -> None:
    database = Path(connection.settings_dict["NAME"])
    is_file = connection.vendor == "sqlite" and database.is_absolute()  # not in memory
    if is_file and empty.begin(database):
        return
    is_new = is_file and not database.exists()
    call_command("migrate", verbosity=0, interactive=False)
    if is_new:
        empty.keep()
