"""Addresses of other systems that signed messages go to, with the secrets that sign them."""

from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from notifications.outgoing import new_secret

from . import vault

# So long the secret before the present one signs too, while the other system takes the new one.
OLD_SECRET_COUNTS = timedelta(hours=24)


class Endpoint(models.Model):
    """Both secrets are encrypted at rest. Without one, nothing can be signed, so nothing is sent."""

    url = models.CharField(_("address"), max_length=500)
    is_enabled = models.BooleanField(_("enabled"), default=True, editable=False)
    secret = models.TextField(blank=True, editable=False)
    old_secret = models.TextField(blank=True, editable=False)
    secret_made_at = models.DateTimeField(_("secret made"), null=True, editable=False)

    class Meta:
        abstract = True

    @property
    def is_usable(self) -> bool:
        return self.is_enabled and bool(self.secret)

    def secrets(self, at: datetime) -> list[str]:
        """Return what signs at `at`, the newest first. Raises cryptography.fernet.InvalidToken without their key."""
        overlap = self.secret_made_at is not None and at < self.secret_made_at + OLD_SECRET_COUNTS
        sealed = [self.secret, self.old_secret if overlap else ""]
        return [vault.opened(each).decode() for each in sealed if each]

    def renew_secret(self, at: datetime) -> str:
        """Take a new secret and return it; the one before signs on for a while. The caller saves `SECRETS`."""
        fresh = new_secret()
        self.secret, self.old_secret, self.secret_made_at = vault.sealed(fresh.encode()), self.secret, at
        return fresh

    def reseal(self) -> None:
        """Encrypt both secrets with the newest of the configured keys. The caller saves `SECRETS`."""
        self.secret, self.old_secret = (each and vault.resealed(each) for each in (self.secret, self.old_secret))


SECRETS = ["secret", "old_secret", "secret_made_at"]
