from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError


class Command(createsuperuser.Command):
    """In place of Django's own, with its options: there is no superuser to make."""

    help = "Not used here: see create_administrator."

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("This site has no superusers. Use `manage.py create_administrator`.")
