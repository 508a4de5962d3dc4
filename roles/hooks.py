"""Addresses of other systems that are asked before people are."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.endpoints import Endpoint


class Hook(Endpoint):
    """Another system that says whether a role may be activated; role settings name it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(
        _("name"),
        max_length=100,
        unique=True,
        error_messages={"unique": _("There is a hook with this name already.")},
    )
    created_at = models.DateTimeField(_("made"), editable=False)
    tested_at = models.DateTimeField(_("tested"), null=True, editable=False)
    test_outcome = models.CharField(_("result of the test"), max_length=40, blank=True, editable=False)

    class Meta:
        verbose_name = _("hook")
        verbose_name_plural = _("hooks")
        ordering = ["name"]
        default_permissions = ("add", "change", "view")

    def __str__(self) -> str:
        return self.name
