"""Settings of the site: read from the environment, closed by default.

Every name that an operator may set begins with ``PIM_``; ``docs/operations.md`` lists them. A name may be
given as ``PIM_…_FILE`` instead, holding the path of a file with the value (for secrets). ``PIM_ENV_FILE``
names a file of ``KEY=value`` lines that is read first.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from pim_site.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
env.read_file("PIM_ENV_FILE")

DEBUG = env.bool("PIM_DEBUG", default=False)
DEMO = env.bool("PIM_DEMO", default=False)
# Empty means "not set": Django refuses to start without a key, and a check refuses the other empty ones.
SECRET_KEY = env.str("PIM_SECRET_KEY", default="")
SECRET_KEY_FALLBACKS = env.list("PIM_SECRET_KEY_FALLBACKS", default=[])
# Keys that one-time-code secrets are encrypted with (Fernet, newest first). Never stored in the database.
FACTOR_KEYS = env.list("PIM_FACTOR_KEYS", default=[])
# Keys that sign checkpoints of the audit (32 bytes, urlsafe base64, newest first), and public ones that signed before.
AUDIT_KEYS = env.list("PIM_AUDIT_KEYS", default=[])
AUDIT_OLD_KEYS = env.list("PIM_AUDIT_OLD_KEYS", default=[])
ALLOWED_HOSTS = env.list("PIM_ALLOWED_HOSTS", default=[])
BASE_URL = env.str("PIM_BASE_URL", default="http://localhost:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = [BASE_URL]
# What passkeys are bound to: the host, and the origin as a browser writes it.
_parts = urlsplit(BASE_URL.lower())
PASSKEY_HOST = _parts.hostname or ""
PASSKEY_ORIGIN = f"{_parts.scheme}://{_parts.netloc}".removesuffix(":443" if _parts.scheme == "https" else ":80")

INSTALLED_APPS = [
    "whitenoise.runserver_nostatic",
    "pim_site.apps.ConsoleConfig",
    # Before Django's own: of two commands of one name the first counts, and createsuperuser makes nobody here.
    "accounts",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "django_otp",
    "django_q",
    "drf_spectacular",
    "rest_framework",
    "audit",
    "notifications",
    "webhooks",
    "roles",
    "assignments",
    "approvals",
    "reviews",
    "alerts",
    # Last, because it finishes what the migrations of the others began (see pim_site/apps.py).
    "pim_site.apps.SiteConfig",
]

MIDDLEWARE = [
    "pim_site.metrics.latencies.LatencyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "pim_site.middleware.HeadersMiddleware",
    "pim_site.middleware.OriginMiddleware",
    "pim_site.middleware.DirectMiddleware",
    "pim_site.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "pim_site.middleware.DeviceMiddleware",
    "pim_site.middleware.SessionLimitsMiddleware",
    "pim_site.api.authentication.TokenMiddleware",
    "pim_site.middleware.AuditContextMiddleware",
    "pim_site.middleware.TimeZoneMiddleware",
    "pim_site.middleware.PasskeyMiddleware",
    "pim_site.middleware.SignInMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "pim_site.urls"
WSGI_APPLICATION = "pim_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "pim_site.context_processors.site",
            ],
            "builtins": ["pim_site.templatetags.pim"],
        },
    },
]

# --- database ---------------------------------------------------------------------------------------------

DATABASE_URL = env.str("PIM_DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'pim.sqlite3'}")
DATABASES: dict[str, dict[str, Any]] = {"default": env.db_url_config(DATABASE_URL)}
_database = DATABASES["default"]
if not _database.get("ENGINE", "").endswith(("sqlite3", "postgresql")):
    raise ImproperlyConfigured("PIM_DATABASE_URL: give postgres://user:password@host/name, or sqlite:///path.")
if _database["ENGINE"].endswith("sqlite3"):
    # Without IMMEDIATE a transaction that reads and then writes fails at once beside another writer; FULL because
    # a committed audit event must survive a power cut, which WAL with NORMAL does not promise (sqlite.org/pragma).
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    # One that is opened anew reads the whole schema, and reads each statement anew: 4 ms of each page.
    _database["CONN_MAX_AGE"] = 60
else:
    _timeouts = "-c lock_timeout=5000 -c statement_timeout=15000 -c idle_in_transaction_session_timeout=30000"
    # Statements that are planned once (`accounts/plans.py`) keep the first plan: else the server makes five, each anew.
    _plans = "-c plan_cache_mode=force_generic_plan"
    _options = env.str("PIM_DATABASE_OPTIONS", default=_timeouts)
    _database.setdefault("OPTIONS", {})["options"] = f"{_plans} {_options}"
    if env.bool("PIM_DATABASE_POOL", default=False):
        # Only for web processes: forked workers would share the pool's sockets (`manage.py worker` switches it off).
        _database["OPTIONS"]["pool"] = True
        _database["CONN_MAX_AGE"] = 0
    else:
        _database["CONN_MAX_AGE"] = 60
        _database["CONN_HEALTH_CHECKS"] = True
    _database["TIME_ZONE"] = env.str("PIM_DATABASE_TIME_ZONE", default="UTC")
_database["ATOMIC_REQUESTS"] = False  # a code that is checked in a transaction that rolls back can be used again
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- people -----------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["assignments.backends.AssignmentBackend"]
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "accounts:sign-in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
OTP_TOTP_ISSUER = env.str("PIM_NAME", default="PIM")

# What the log is called in checkpoints, and where they go: a file that is only appended to, and addresses.
AUDIT_ORIGIN = env.str("PIM_AUDIT_ORIGIN", default="") or PASSKEY_HOST
AUDIT_CHECKPOINT_FILE = env.str("PIM_AUDIT_CHECKPOINT_FILE", default="")
# After how many days events go into files of a folder and out of the database; 0: never.
AUDIT_KEEP_DAYS = env.int("PIM_AUDIT_KEEP_DAYS", default=0)
AUDIT_ARCHIVE_DIR = env.str("PIM_AUDIT_ARCHIVE_DIR", default="")
# Where every event is sent, one after the other: tcp://, tls://, https:// and file:// addresses (docs/siem.md).
AUDIT_STREAMS = env.list("PIM_AUDIT_STREAMS", default=[])
# What signs events and checkpoints that go to https:// addresses: whsec_… (Standard Webhooks), newest first.
AUDIT_WEBHOOK_SECRETS = env.list("PIM_AUDIT_WEBHOOK_SECRETS", default=[])
AUDIT_CHECKPOINT_URL = env.str("PIM_AUDIT_CHECKPOINT_URL", default="")
AUDIT_CHECKPOINT_MAIL = env.list("PIM_AUDIT_CHECKPOINT_MAIL", default=[])

SESSION_HOURS = env.int("PIM_SESSION_HOURS", default=12)
CONSOLE_IDLE_MINUTES = env.int("PIM_CONSOLE_IDLE_MINUTES", default=15)
STEP_UP_SECONDS = 120
# How many proxies in front of the site write X-Forwarded-For; 0 means that the header is not believed.
TRUSTED_PROXIES = env.int("PIM_TRUSTED_PROXIES", default=0)

# --- web --------------------------------------------------------------------------------------------------

SECURE = BASE_URL.startswith("https://")
SESSION_ENGINE = "pim_site.sessions"
SESSION_COOKIE_AGE = int(timedelta(hours=SESSION_HOURS).total_seconds())
SESSION_COOKIE_SECURE = SECURE or not DEBUG
CSRF_COOKIE_SECURE = SECURE or not DEBUG
SESSION_COOKIE_NAME = "__Host-pim-session" if SESSION_COOKIE_SECURE else "pim-session"
CSRF_COOKIE_NAME = "__Host-pim-csrf" if CSRF_COOKIE_SECURE else "pim-csrf"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = not DEBUG
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 0 if DEBUG else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEBUG
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

STATIC_URL = "static/"
STATIC_ROOT = env.str("PIM_STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
STATICFILES_DIRS = [BASE_DIR / "static"]
_manifest = "whitenoise.storage.CompressedManifestStaticFilesStorage"
_plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
STORAGES = {"staticfiles": {"BACKEND": _plain if DEBUG else _manifest}}
WHITENOISE_USE_FINDERS = DEBUG
if DEMO:
    # Each page of the console has some thirty files, and with DEBUG all of them are asked for anew with each page.
    WHITENOISE_MAX_AGE = 300

# --- Metrics ----------------------------------------------------------------------------------------------

# What Prometheus sends to read /metrics; without one the page is not there, and nothing is counted.
METRICS_TOKEN = env.str("PIM_METRICS_TOKEN", default="")

# --- API --------------------------------------------------------------------------------------------------

# How many requests in a minute a token has; its person has twice that, an address four times: it may be a whole office.
API_REQUESTS_PER_MINUTE = env.int("PIM_API_REQUESTS_PER_MINUTE", default=600)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "pim_site.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["pim_site.api.authentication.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["pim_site.api.parsing.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "pim_site.api.lists.Pages",
    "DEFAULT_SCHEMA_CLASS": "pim_site.api.schema.Operation",
    "EXCEPTION_HANDLER": "pim_site.api.problems.on_exception",
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "PIM",
    "DESCRIPTION": "Who may hold which role, who holds it now, and every change to both.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": ["pim_site.api.schema.finished"],
}

# --- words and times --------------------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
# The zone that people start with; each person may choose another.
DEFAULT_TIME_ZONE = env.str("PIM_TIME_ZONE", default="UTC")
LANGUAGE_CODE = env.str("PIM_LANGUAGE", default="en")
LANGUAGES = [("en", _("English"))]
USE_I18N = True
FORMAT_MODULE_PATH = "pim_site.formats"
LOCALE_PATHS = [BASE_DIR / "locale"]

# --- mail -------------------------------------------------------------------------------------------------

DEMO_DIR = Path(env.str("PIM_DEMO_DIR", default=str(BASE_DIR / ".demo")))
if DEMO:
    EMAIL_BACKEND = "pim_site.demo.mail.FileBackend"
else:
    vars().update(env.email_url("PIM_EMAIL_URL", default="smtp://localhost:25"))
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.str("PIM_MAIL_FROM", default="PIM <pim@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- calls to other systems ---------------------------------------------------------------------------------

# Networks that may be called although they are not public (10.1.0.0/16, …); and whether there also without TLS.
OUTGOING_NETWORKS = env.list("PIM_OUTGOING_NETWORKS", default=[])
OUTGOING_HTTP = env.bool("PIM_OUTGOING_HTTP", default=False)

# --- alerts -----------------------------------------------------------------------------------------------

# Modules in which kinds of alerts are declared: ours, and those of the operator. Addresses that hear of incidents, too.
ALERT_MODULES = ["alerts.kinds", "pim_site.watching", *env.list("PIM_ALERT_MODULES", default=[])]
ALERT_MAIL = env.list("PIM_ALERT_MAIL", default=[])

# --- worker -----------------------------------------------------------------------------------------------

# Figures: at most one prefetched task a worker, and `retry` ten times `timeout`, because the retry clock of
# django-q2 starts when a task is fetched, not when it starts; failures are acknowledged, or they return for ever.
Q_CLUSTER: dict[str, Any] = {
    "name": "pim",
    "orm": "default",
    "workers": 2,
    "queue_limit": 2,
    "bulk": 1,
    "timeout": 60,
    "retry": 600,
    "max_attempts": 5,
    "ack_failures": True,
    "catch_up": False,
    "poll": 1,
    "save_limit": -1,  # only failures are kept: nobody reads the others, and each cost four statements
    "recycle": 100,
    "label": _("Queue"),
}
# After this long without a sign of work the cluster is killed and started anew. Longer than a task may take
# (`timeout`), or a slow mail server would look like a dead worker.
WORKER_WATCHDOG_SECONDS = env.int("PIM_WORKER_WATCHDOG_SECONDS", default=75)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("PIM_LOG_LEVEL", default="INFO")},
    "loggers": {
        # Django's own handlers mail to ADMINS and print twice beside ours.
        "django": {"handlers": [], "propagate": True},
        # Three lines for each heartbeat would hide what matters.
        "django-q": {"level": env.str("PIM_QUEUE_LOG_LEVEL", default="WARNING")},
    },
}

SILENCED_SYSTEM_CHECKS: list[str] = []
