from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class ConsoleConfig(AdminConfig):
    """Django's admin, with our site class: only verified people with a right in force come in."""

    default_site = "pim_site.console.ConsoleSite"


class SiteConfig(AppConfig):
    name = "pim_site"
    verbose_name = _("Site")

    def ready(self) -> None:
        from . import checks  # noqa: F401 (registers the checks)

        # Permissions are made after each app's migrations, and this app is the last: now all of them exist.
        post_migrate.connect(install_built_ins, sender=self)


def install_built_ins(using: str, **kwargs: Any) -> None:
    """Make what the product cannot be without: the root of the tree, the built-in roles, alerts, schedules."""
    from alerts.services import sync as sync_alerts
    from roles.builtin import install

    from .schedules import sync

    install()
    sync_alerts()
    sync()
