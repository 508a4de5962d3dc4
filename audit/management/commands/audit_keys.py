from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.keys import verifying_keys


class Command(BaseCommand):
    help = "Prints the public keys of this log, newest first: give them to whoever verifies it."

    def handle(self, *args: Any, **options: Any) -> None:
        keys = verifying_keys()
        if not keys:
            raise CommandError("No key signs checkpoints: set PIM_AUDIT_KEYS.")
        for key in keys:
            self.stdout.write(str(key))
