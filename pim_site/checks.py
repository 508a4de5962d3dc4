"""Refuses configurations that would work and not be safe. Each finding has a stable id and says what to do."""

import sys
from collections.abc import Callable, Iterator
from email.utils import parseaddr
from ipaddress import ip_address, ip_network
from typing import Any
from zoneinfo import available_timezones

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import WARNING, CheckMessage, Error, Info, Warning, register, run_checks  # noqa: A004 (Django's name)
from django.core.exceptions import ImproperlyConfigured

from audit.archiving import LEAST_KEPT
from audit.keys import signing_keys, verifying_keys
from audit.models import stream_name

from .siem.destinations import check as check_destination

Findings = Iterator[CheckMessage]

SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = "django.db.backends.postgresql"
# What the outer one does, the inner ones rely on.
MIDDLEWARE_ORDER = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "pim_site.middleware.HeadersMiddleware",
    "pim_site.middleware.OriginMiddleware",
    "pim_site.middleware.DirectMiddleware",
    "pim_site.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "pim_site.middleware.DeviceMiddleware",
    "pim_site.middleware.SessionLimitsMiddleware",
    "pim_site.middleware.AuditContextMiddleware",
    "pim_site.middleware.TimeZoneMiddleware",
    "pim_site.middleware.PasskeyMiddleware",
    "pim_site.middleware.SignInMiddleware",
]
MAIL_THAT_VANISHES = ("console.EmailBackend", "dummy.EmailBackend", "locmem.EmailBackend")
DEMO_MAIL = "pim_site.demo.mail.FileBackend"
SHORTEST_TOKEN = 32
TEMPORARY = "only what a developer's machine may do, set PIM_DEBUG=1 and PIM_DEMO=1"


def site_check(check: Callable[[], Findings]) -> Callable[[], Findings]:
    """Register a check that looks at the settings alone."""

    def found(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
        return list(check())

    register(found, "pim")
    return check


def error(number: int, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"pim.E{number:03}")


@site_check
def database() -> Findings:
    used = settings.DATABASES["default"]
    options = used.get("OPTIONS", {})
    if used["ENGINE"] not in (SQLITE, POSTGRESQL):
        yield error(
            1, "The database is neither SQLite nor PostgreSQL.", "Set PIM_DATABASE_URL to sqlite: or postgres:."
        )
    if used["ENGINE"] == SQLITE and not keeps_its_word(options):
        yield error(
            2,
            "SQLite does not run with IMMEDIATE transactions, WAL and synchronous=FULL.",
            "Restore transaction_mode and init_command in DATABASES: without them writes fail or a commit is lost.",
        )
    if used.get("ATOMIC_REQUESTS"):
        yield error(
            3,
            "ATOMIC_REQUESTS is on.",
            "Switch it off: a one-time code checked in a request that is rolled back can be used again.",
        )
    if options.get("pool") and "qcluster" in sys.argv[1:2]:
        yield error(4, "The worker runs with a connection pool.", "Use `manage.py worker`, or set PIM_DATABASE_POOL=0.")


def keeps_its_word(options: dict[str, Any]) -> bool:
    pragmas = options.get("init_command", "").replace(" ", "").lower()
    immediate = options.get("transaction_mode") == "IMMEDIATE"
    return immediate and "journal_mode=wal" in pragmas and "synchronous=full" in pragmas


@site_check
def queue() -> Findings:
    cluster = settings.Q_CLUSTER
    rules = {
        "catch_up must be False": cluster.get("catch_up") is False,
        "max_attempts must be above 0": cluster.get("max_attempts", 0) > 0,
        "ack_failures must be True": cluster.get("ack_failures") is True,
        "timeout must be set": bool(cluster.get("timeout")),
        "retry must be at least ten times timeout": cluster.get("retry", 0) >= 10 * (cluster.get("timeout") or 1),
        "queue_limit must be at most the number of workers": 0 < cluster.get("queue_limit", 0) <= cluster["workers"],
    }
    for rule, kept in rules.items():
        if not kept:
            yield error(5, f"The queue is badly set: {rule}.", "Restore Q_CLUSTER; its comment gives the reasons.")
    if (cluster.get("timeout") or 0) >= settings.WORKER_WATCHDOG_SECONDS:
        yield Warning(
            "The watchdog is quicker than the slowest task may be.",
            hint="Set PIM_WORKER_WATCHDOG_SECONDS above its timeout, or slow mail looks like a dead worker.",
            id="pim.W001",
        )


@site_check
def keys() -> Findings:
    if not settings.FACTOR_KEYS:
        yield error(6, "No key encrypts the secrets of one-time codes.", f"Set PIM_FACTOR_KEYS; {NEW_KEY}")
    if not all(map(is_fernet, settings.FACTOR_KEYS)):
        yield error(7, "A key in PIM_FACTOR_KEYS is not a Fernet key.", f"Replace it; {NEW_KEY}")


@site_check
def audit_keys() -> Findings:
    try:
        signing_keys(), verifying_keys()
    except ValueError:
        yield error(
            22,
            "A key of the audit is none.",
            "PIM_AUDIT_KEYS: 32 bytes in urlsafe base64; PIM_AUDIT_OLD_KEYS: as `manage.py audit_keys` printed it.",
        )
    if settings.AUDIT_KEEP_DAYS and not (
        LEAST_KEPT.days <= settings.AUDIT_KEEP_DAYS and settings.AUDIT_ARCHIVE_DIR and settings.AUDIT_KEYS
    ):
        yield error(
            24,
            "Old events cannot be archived as PIM_AUDIT_KEEP_DAYS says.",
            f"Give {LEAST_KEPT.days} days or more, a folder in PIM_AUDIT_ARCHIVE_DIR, and a key in PIM_AUDIT_KEYS.",
        )
    for address in [*settings.AUDIT_STREAMS, *filter(None, [settings.AUDIT_CHECKPOINT_URL])]:
        try:
            check_destination(address)
        except ValueError as refusal:
            yield error(
                25, f"Nothing of the audit can be sent to {stream_name(address)}: {refusal}.", "See docs/siem.md."
            )
    if not settings.AUDIT_KEYS:
        yield Info(
            "No key signs checkpoints of the audit.",
            hint=f"Set PIM_AUDIT_KEYS, or whoever owns the database can rewrite the log unseen; {NEW_KEY}",
            id="pim.I001",
        )


NEW_KEY = 'a new one: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


def is_fernet(key: str) -> bool:
    try:
        return bool(Fernet(key))
    except ValueError:
        return False


@site_check
def web() -> Findings:
    if "*" in settings.ALLOWED_HOSTS:
        yield error(8, "ALLOWED_HOSTS accepts every host.", "Name the hosts of the site in PIM_ALLOWED_HOSTS.")
    if not settings.DEBUG and not settings.BASE_URL.startswith("https://"):
        yield error(9, "PIM_BASE_URL is not an https address.", f"Give the public https address, or, {TEMPORARY}.")
    if not is_host_name(settings.PASSKEY_HOST):
        yield error(
            19,
            "PIM_BASE_URL names no host that passkeys could belong to.",
            "Give the name of the host (in the form xn--… where it has other letters than ASCII), not its number.",
        )
    if [name for name in settings.MIDDLEWARE if name in MIDDLEWARE_ORDER] != MIDDLEWARE_ORDER:
        yield error(10, "Middleware is missing or out of order.", "Restore the order of MIDDLEWARE in the settings.")
    if "'unsafe-" in str(settings.CONTENT_SECURITY_POLICY) or "default-src" not in str(
        settings.CONTENT_SECURITY_POLICY
    ):
        yield error(11, "The content security policy is open.", "Restore CONTENT_SECURITY_POLICY: nothing inline.")
    if 0 < len(settings.METRICS_TOKEN) < SHORTEST_TOKEN:
        yield error(23, "PIM_METRICS_TOKEN can be guessed.", f"Give it {SHORTEST_TOKEN} random characters, or more.")
    if settings.TRUSTED_PROXIES < 0:
        yield error(12, "PIM_TRUSTED_PROXIES is below 0.", "Give the number of proxies that add X-Forwarded-For.")
    if not 0 < settings.SESSION_HOURS <= 24 or not 0 < settings.CONSOLE_IDLE_MINUTES <= 60:
        yield error(13, "Sessions last too long, or not at all.", "PIM_SESSION_HOURS: 1 to 24, idle minutes: 1 to 60.")


def is_host_name(host: str) -> bool:
    """Browsers make passkeys for names: not for addresses, and of other alphabets in their ASCII form."""
    try:
        ip_address(host)
    except ValueError:
        return bool(host) and host.isascii()
    return False


@site_check
def demo() -> Findings:
    if settings.DEMO and not settings.DEBUG:
        yield error(
            14, "The demo is on outside DEBUG.", "Unset PIM_DEMO: the demo shows passwords and mail to anybody."
        )


@site_check
def mail() -> Findings:
    if settings.EMAIL_BACKEND == DEMO_MAIL and not settings.DEMO:
        yield error(15, "Mail goes to the files of the demo.", "Set PIM_EMAIL_URL to a mail server.")
    if not settings.DEBUG and settings.EMAIL_BACKEND.endswith(MAIL_THAT_VANISHES):
        yield error(16, "Mail is thrown away.", "Set PIM_EMAIL_URL to a mail server, such as smtp+tls://host:587.")
    for address in [settings.DEFAULT_FROM_EMAIL, *settings.AUDIT_CHECKPOINT_MAIL, *settings.ALERT_MAIL]:
        if "@" not in parseaddr(address)[1]:
            yield error(
                26,
                f"No mail can come from, or go to, “{address}”.",
                "PIM_MAIL_FROM, PIM_AUDIT_CHECKPOINT_MAIL, PIM_ALERT_MAIL: give addresses such as pim@example.org.",
            )


@site_check
def outgoing() -> Findings:
    if not all(map(is_network, settings.OUTGOING_NETWORKS)):
        yield error(20, "A network in PIM_OUTGOING_NETWORKS is none.", "Write networks such as 10.1.0.0/16.")
    if settings.OUTGOING_HTTP and not settings.OUTGOING_NETWORKS:
        yield error(
            21,
            "PIM_OUTGOING_HTTP opens nothing without PIM_OUTGOING_NETWORKS.",
            "Unset it, or name the networks that may be called without TLS: no other may.",
        )


def is_network(text: str) -> bool:
    try:
        return bool(ip_network(text))
    except ValueError:
        return False


@site_check
def times() -> Findings:
    if settings.DEFAULT_TIME_ZONE not in available_timezones():
        yield error(17, "PIM_TIME_ZONE is not a known time zone.", "Use a name such as Europe/Berlin.")
    if settings.TIME_ZONE != "UTC" or not settings.USE_TZ:
        yield error(
            18, "Times are not kept in UTC.", "Leave TIME_ZONE and USE_TZ alone; PIM_TIME_ZONE is what is shown."
        )


def refuse_unsafe_start() -> None:
    """Raise ImproperlyConfigured with all findings unless it is safe to serve.

    A demo is held to the plain checks only; everything else to the deployment checks as well, warnings included.
    """
    if settings.DEBUG and not settings.DEMO:
        raise ImproperlyConfigured("DEBUG is on. Unset PIM_DEBUG, or set PIM_DEMO=1 too if this is a demo.")
    found = run_checks(include_deployment_checks=not settings.DEBUG)
    serious = [finding for finding in found if finding.is_serious(WARNING) and not finding.is_silenced()]
    if serious:
        raise ImproperlyConfigured("\n".join(["This configuration is not safe to serve:", *map(str, serious)]))
