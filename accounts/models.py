"""People, service accounts and groups, and what a person proves who they are with."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.auth import get_backends
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device, ThrottlingMixin, TimestampMixin

from . import factors
from .browsers import BrowserSession as BrowserSession
from .passkeys import LONGEST_ID


def default_zone() -> str:
    return str(settings.DEFAULT_TIME_ZONE)


class UserQuerySet(models.QuerySet["User"]):
    def enabled(self) -> Self:
        return self.filter(is_active=True)

    def people(self) -> Self:
        return self.filter(kind=User.Kind.PERSON)

    def named(self, identifier: str) -> Self:
        """Rows whose username or e-mail address is `identifier`, whatever its case.

        In Python's small letters, as attempts to sign in are counted: what PostgreSQL takes for equal besides, such as
        "ſam" and "sam", would have a count of its own. SQLite knows those of ASCII alone, hence the name as typed.
        """
        rows, small = self.alias(small_username=Lower("username"), small_email=Lower("email")), identifier.lower()
        same = models.Q(username=identifier) | models.Q(small_username=small) | models.Q(small_email=small)
        return rows.filter(same)


class User(AbstractBaseUser):  # type: ignore[django-manager-missing]  # django-otp's managers have no types
    """A person, or a service account.

    There is no superuser flag, no staff flag and no direct permission: whatever somebody may do in this site comes
    from a role that they hold in force (``assignments.backends``).
    """

    class Kind(models.TextChoices):
        PERSON = "person", _("person")
        SERVICE = "service", _("service account")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.PERSON)
    username = models.CharField(_("username"), max_length=150, unique=True, validators=[UnicodeUsernameValidator()])
    email = models.EmailField(_("e-mail address"))
    display_name = models.CharField(_("display name"), max_length=150)
    manager = models.ForeignKey(
        "self",
        verbose_name=_("manager"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reports",
    )
    time_zone = models.CharField(_("time zone"), max_length=64, default=default_zone)
    # Of the mail of the week, for those who may read the audit.
    weekly_digest = models.BooleanField(_("weekly digest"), default=True, editable=False)
    daily_digest = models.BooleanField(
        _("daily digest"),
        default=False,
        editable=False,
        help_text=_("Mail that may wait comes once a day. Everybody chooses this for themselves."),
    )
    is_active = models.BooleanField(
        _("enabled"),
        default=True,
        help_text=_("A disabled person cannot sign in and has nothing in force from that instant."),
    )
    is_emergency_access = models.BooleanField(
        _("emergency access"),
        default=False,
        help_text=_("A break-glass account: kept for the day when nothing else works."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_sign_in_at = models.DateTimeField(_("last sign-in"), null=True, blank=True, editable=False)
    last_login = None  # Django's own name for the same; ours is written by `sign_in`.

    objects = UserQuerySet.as_manager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email", "display_name"]

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        ordering = ["display_name", "username"]
        default_permissions = ("add", "change", "view")
        permissions = [
            ("disable_user", _("Can disable and enable people")),
            ("enrol_user", _("Can issue enrolment links")),
            ("enrol_privileged_user", _("Can issue enrolment links to people with privileged roles")),
        ]
        constraints = [
            models.UniqueConstraint(
                Lower("username"),
                name="user_one_per_username",
                violation_error_message=_("Somebody has this username already."),
            ),
            models.UniqueConstraint(
                Lower("email"),
                name="user_one_per_email",
                violation_error_message=_("Somebody has this e-mail address already."),
            ),
            models.CheckConstraint(condition=models.Q(kind__in=["person", "service"]), name="user_kind_known"),
        ]

    def __str__(self) -> str:
        return self.display_name or self.username

    def get_full_name(self) -> str:
        return self.display_name

    def get_short_name(self) -> str:
        return self.display_name.split(" ")[0]

    @property
    def is_person(self) -> bool:
        return self.kind == self.Kind.PERSON

    @property
    def is_staff(self) -> bool:
        """What Django's admin asks: does any role in force give a right in the console?"""
        return bool(self.get_all_permissions())

    @property
    def is_superuser(self) -> bool:
        """What other packages ask. Nobody is: there is no way around the roles."""
        return False

    # Set for requests that only read: such a page asks for its rights a dozen times. Changes always ask afresh.
    remembers_rights = False

    def get_all_permissions(self, obj: models.Model | None = None) -> set[str]:
        """Every permission of this site ("app.codename") that a role in force gives this person now."""
        if not self.remembers_rights or obj is not None:
            return self._rights(obj)
        if not hasattr(self, "_remembered_rights"):
            self._remembered_rights = self._rights(None)
        return self._remembered_rights

    def _rights(self, obj: models.Model | None) -> set[str]:
        if not self.is_active:
            return set()
        return set().union(*(backend.get_all_permissions(self, obj) for backend in get_backends()))

    def has_perm(self, perm: str, obj: models.Model | None = None) -> bool:
        return perm in self.get_all_permissions(obj)

    def has_perms(self, perms: Iterable[str], obj: models.Model | None = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perms)

    def has_module_perms(self, app_label: str) -> bool:
        return any(perm.startswith(f"{app_label}.") for perm in self.get_all_permissions())


class GroupManager(models.Manager["Group"]):
    def get_queryset(self) -> models.QuerySet["Group"]:
        return super().get_queryset().filter(deleted_at=None)


class Group(models.Model):
    """People who are named together: as approvers, and as holders of roles.

    The row of a group that was deleted stays, empty and in no list: assignments and requests of the past point at it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=150)
    description = models.TextField(_("description"), blank=True, max_length=2000)
    owners = models.ManyToManyField(User, verbose_name=_("owners"), related_name="owned_groups", blank=True)
    members = models.ManyToManyField(User, verbose_name=_("members"), related_name="member_groups", blank=True)
    is_protected = models.BooleanField(
        _("protected"),
        default=False,
        help_text=_(
            "Only role administrators may change a protected group, and only protected groups may approve requests: "
            "otherwise whoever manages groups could make approvers."
        ),
    )
    deleted_at = models.DateTimeField(_("deleted"), null=True, editable=False)

    objects = GroupManager()

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        ordering = ["name"]
        default_permissions = ("add", "change", "view")
        permissions = [("change_protected_group", _("Can change protected groups"))]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                condition=models.Q(deleted_at=None),
                name="group_one_per_name",
                violation_error_message=_("There is a group with this name already."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class TotpDevice(TimestampMixin, ThrottlingMixin, Device):
    """An authenticator app (RFC 6238: SHA-1, 6 digits, 30 s), its key encrypted with a key outside the database.

    Verified through `django_otp.verify_token` only, which holds the row's lock: called directly, one code was
    accepted up to eight times in parallel.
    """

    encrypted_key = models.TextField()
    last_step = models.BigIntegerField(default=-1)

    class Meta:
        verbose_name = _("authenticator app")
        verbose_name_plural = _("authenticator apps")
        default_permissions = ()

    def verify_token(self, token: str) -> bool:
        """Accept `token` if it is a code of a step later than the last accepted one; count a failure if not."""
        allowed, _reason = self.verify_is_allowed()
        if not allowed:
            return False
        step = factors.accepted_step(self.encrypted_key, token, after=self.last_step, at=timezone.now())
        if step is None:
            self.throttle_increment(commit=False)
            self.save(update_fields=["throttling_failure_timestamp", "throttling_failure_count"])
            return False
        self.last_step = step
        self.throttle_reset(commit=False)
        self.set_last_used_timestamp(commit=False)
        self.save(
            update_fields=[
                "last_step",
                "throttling_failure_timestamp",
                "throttling_failure_count",
                "last_used_at",
            ]
        )
        return True

    def get_throttle_factor(self) -> int:
        """Seconds of the first delay; it doubles with each failure in a row."""
        return 1


class RecoveryDevice(TimestampMixin, ThrottlingMixin, Device):
    """Ten codes to be used once each, when the authenticator app is out of reach."""

    class Meta:
        verbose_name = _("recovery codes")
        verbose_name_plural = _("recovery codes")
        default_permissions = ()

    def verify_token(self, token: str) -> bool:
        """Use up the code `token`; count a failure if there is none like it."""
        allowed, _reason = self.verify_is_allowed()
        if not allowed:
            return False
        used = self.codes.filter(digest=factors.digest(factors.plain(token)), used_at=None).update(
            used_at=timezone.now()
        )
        if used:
            self.throttle_reset(commit=False)
            self.set_last_used_timestamp(commit=False)
        else:
            self.throttle_increment(commit=False)
        self.save(update_fields=["throttling_failure_timestamp", "throttling_failure_count", "last_used_at"])
        return bool(used)

    def get_throttle_factor(self) -> int:
        return 1


class RecoveryCode(models.Model):
    device = models.ForeignKey(RecoveryDevice, on_delete=models.CASCADE, related_name="codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["device", "digest"], name="recoverycode_one_per_digest")]

    def __str__(self) -> str:
        return f"recovery code {self.pk}"


class Passkey(TimestampMixin, Device):
    """A key pair on a device of the person (WebAuthn), of which only the public half is here.

    Proves through `services.prove` only: as a device of django-otp it accepts no token.
    """

    credential_id = models.CharField(max_length=LONGEST_ID, unique=True)  # base64url
    public_key = models.BinaryField()  # COSE
    sign_count = models.PositiveBigIntegerField(default=0)
    transports = models.JSONField(default=list)
    is_synced = models.BooleanField(default=False)  # may be copied to other devices of the person by its maker

    class Meta:
        verbose_name = _("passkey")
        verbose_name_plural = _("passkeys")
        default_permissions = ()


class PasskeyChallenge(models.Model):
    """What a passkey is to sign: for whom, in which session and for what. Gone as soon as it is answered."""

    challenge = models.CharField(max_length=100, primary_key=True)  # base64url
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    session_digest = models.CharField(max_length=64)
    intent_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"challenge to {self.user} at {self.created_at}"


class EnrolmentTicket(models.Model):
    """A one-time right to set a password and the first factor, handed over by an administrator."""

    LIFETIME = timedelta(hours=72)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="enrolment_tickets")
    digest = models.CharField(max_length=64, unique=True)
    issued_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)  # or withdrawn

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("issued_at")), name="enrolmentticket_ends_after_start"
            )
        ]

    def __str__(self) -> str:
        return f"enrolment of {self.user}"

    def is_valid(self, at: datetime) -> bool:
        return self.used_at is None and self.issued_at <= at < self.expires_at


class StepUpProof(models.Model):
    """A factor proved for one intent: by whom, in which session, for what, and whether it was used already."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    session_digest = models.CharField(max_length=64)
    intent_digest = models.CharField(max_length=64)
    method = models.CharField(max_length=20)
    device = models.CharField(max_length=200, blank=True)  # which factor, as django-otp names it
    created_at = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.method} of {self.user} at {self.created_at}"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def open(self, at: datetime) -> Self:
        """Not over and not revoked."""
        return self.filter(revoked_at=None, expires_at__gt=at)

    def visible_to(self, user: User) -> Self:
        """One's own; and those of service accounts for whoever may issue them."""
        own = models.Q(user=user)
        if user.has_perm("accounts.enrol_privileged_user"):
            own |= models.Q(user__kind=User.Kind.SERVICE)
        return self.filter(own)


class ApiToken(models.Model):
    """What a program signs in with in place of its owner. Of the token itself only a digest is here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, verbose_name=_("owner"), on_delete=models.PROTECT, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=100)
    key = models.CharField(_("key"), max_length=16, unique=True)
    digest = models.CharField(max_length=64)
    scopes = models.CharField(_("scopes"), max_length=100)  # with a space between them
    networks = models.TextField(_("only from"), blank=True)  # with a space between them; empty: from anywhere
    created_at = models.DateTimeField(_("made"))
    expires_at = models.DateTimeField(_("ends"))
    revoked_at = models.DateTimeField(_("revoked"), null=True)
    last_used_at = models.DateTimeField(_("last used"), null=True)
    last_address = models.CharField(_("last used from"), max_length=64, blank=True)
    replaces = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ["-created_at", "-id"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")), name="apitoken_ends_after_start"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} · pim_{self.key}…"

    @property
    def scope_set(self) -> frozenset[str]:
        return frozenset(self.scopes.split())

    @property
    def lifetime(self) -> timedelta:
        return self.expires_at - self.created_at


class SignInCounter(models.Model):
    """Failures to sign in that a name, an address, or both together have had in a row."""

    key = models.CharField(max_length=64, primary_key=True)
    failures = models.PositiveIntegerField(default=0)
    blocked_until = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.failures} failures"
