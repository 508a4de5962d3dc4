from django.db import models
from django.utils.translation import gettext_lazy as _


class Heartbeat(models.Model):
    """Proof that tasks are being done: written by a task, so a queue that stands still cannot write it."""

    name = models.CharField(_("name"), max_length=40, unique=True)
    at = models.DateTimeField(_("at"))
    detail = models.CharField(_("detail"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name
