from typing import Any

from django.core.management.base import BaseCommand

from pim_site.worker import Supervisor


class Command(BaseCommand):
    help = "Does what is due: expiry, mail, reminders, time-outs. Runs until SIGTERM or SIGINT."

    def handle(self, *args: Any, **options: Any) -> None:
        Supervisor().run()
