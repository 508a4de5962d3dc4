"""The browsers in which people are signed in, as they and the audit know them."""

import re
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from .models import User

# In this order: most browsers name others too, those that they are made of or once were like.
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
SYSTEMS = {
    "Android": "Android",
    "iPhone|iPad": "iOS",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


# An emergency account is there to be used: who signs in with one, and then activates nothing for so long, is told of.
ACTIVATE_WITHIN = timedelta(minutes=30)


class BrowserSessionQuerySet(models.QuerySet["BrowserSession"]):
    def open(self, at: datetime) -> Self:
        """Those that can still be used: not ended, and not too old."""
        return self.since(at - timedelta(hours=settings.SESSION_HOURS))

    def since(self, start: datetime) -> Self:
        """Those that began later than this, and were not ended."""
        return self.filter(ended_at=None, started_at__gt=start)

    def of(self, user: "User") -> Self:
        return self.filter(user=user)

    def to_explain(self, at: datetime) -> Self:
        """Sign-ins of emergency accounts that an activation should have followed by now; nobody has looked yet."""
        return self.filter(explain_by__lte=at)


class BrowserSession(models.Model):
    """One sign-in in one browser. Its name stays the same while the key of the session in the cookie changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="browser_sessions")
    digest = models.CharField(max_length=64, unique=True)
    method = models.CharField(max_length=20)
    device = models.CharField(max_length=200, blank=True)  # which factor, as django-otp names it
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField()
    used_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    explain_by = models.DateTimeField(null=True)  # gone when it was looked at; see `to_explain`

    objects = BrowserSessionQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        ordering = ["-used_at"]
        indexes = [
            models.Index(fields=["user", "-used_at"], name="browsersession_by_user"),
            models.Index(
                fields=["explain_by"],
                condition=models.Q(explain_by__isnull=False),
                name="browsersession_to_explain",
            ),
        ]

    def __str__(self) -> str:
        """Return browser and system as far as the browser tells: "Firefox on Linux"."""
        browser = next((name for mark, name in BROWSERS.items() if mark in self.agent), "")
        system = next((name for mark, name in SYSTEMS.items() if re.search(mark, self.agent)), "")
        if browser and system:
            return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
        return browser or system or _("A browser that does not say its name")
