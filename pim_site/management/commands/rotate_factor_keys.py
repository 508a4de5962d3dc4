import uuid
from typing import Any

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError

from accounts.services import rotate_keys
from audit.context import bind
from roles.services import reseal_hooks
from webhooks.services import reseal_subscriptions


class Command(BaseCommand):
    help = "Encrypts every stored secret with the first of PIM_FACTOR_KEYS; the others may then go."

    def handle(self, *args: Any, **options: Any) -> None:
        with bind(correlation_id=uuid.uuid4().hex, via="command"):
            try:
                count = rotate_keys(actor=None) + reseal_hooks(actor=None) + reseal_subscriptions(actor=None)
            except InvalidToken as unknown:
                raise CommandError(
                    "A secret was encrypted with a key that is not in PIM_FACTOR_KEYS: "
                    "put that key behind the new one, and run this again."
                ) from unknown
        self.stdout.write(f"Encrypted anew: {count}")
