"""Addresses of other systems that are asked before people are."""

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts import vault

# So long the secret before the present one signs too, while the other system takes the new one.
OLD_SECRET_COUNTS = timedelta(hours=24)


class Hook(models.Model):
    """Another system that says whether a role may be activated; role settings name it.

    Both secrets are encrypted at rest. Without one, nothing can be signed, so nothing is asked.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(
        _("name"),
        max_length=100,
        unique=True,
        error_messages={"unique": _("There is a hook with this name already.")},
    )
    url = models.CharField(_("address"), max_length=500)
    is_enabled = models.BooleanField(_("enabled"), default=True, editable=False)
    secret = models.TextField(blank=True, editable=False)
    old_secret = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(_("made"), editable=False)
    tested_at = models.DateTimeField(_("tested"), null=True, editable=False)
    test_outcome = models.CharField(_("result of the test"), max_length=40, blank=True, editable=False)
    secret_made_at = models.DateTimeField(_("secret made"), null=True, editable=False)

    class Meta:
        verbose_name = _("hook")
        verbose_name_plural = _("hooks")
        ordering = ["name"]
        default_permissions = ("add", "change", "view")

    def __str__(self) -> str:
        return self.name

    @property
    def is_usable(self) -> bool:
        return self.is_enabled and bool(self.secret)

    def secrets(self, at: datetime) -> list[str]:
        """Return what signs at `at`, the newest first."""
        overlap = self.secret_made_at is not None and at < self.secret_made_at + OLD_SECRET_COUNTS
        sealed = [self.secret, self.old_secret if overlap else ""]
        return [vault.opened(each).decode() for each in sealed if each]
