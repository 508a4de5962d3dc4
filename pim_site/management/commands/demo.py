from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from pim_site.demo import credentials, seed


class Command(BaseCommand):
    help = "Prepares the database of the demo: tables, and once the fictional people, roles and their last weeks."

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG and settings.DEMO):
            raise CommandError("The demo is only for PIM_DEBUG=1 and PIM_DEMO=1: its passwords are known to everybody.")
        call_command("migrate", verbosity=0, interactive=False)
        made = seed.seed()
        path = credentials.write()
        self.stdout.write(f"{'Made the demo' if made else 'The demo is there already'}; how to sign in: {path}")
