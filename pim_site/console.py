"""The console: Django's admin behind our sign-in."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods
from django_otp.admin import OTPAdminSite

from accounts.models import User
from alerts.models import EVERY, Alert, Incident
from alerts.registry import Severity
from approvals.models import EmergencyUse, Request
from assignments.insights import INSIGHTS
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.ownership import OWNS
from assignments.rules import EXTEND_WINDOW
from notifications.models import Message
from pim_site.dashboard.panels import glance
from pim_site.dashboard.period import USUAL, Period
from pim_site.dashboard.views import dashboard
from pim_site.health import readiness
from pim_site.pages import list_of
from reviews.models import Instance
from roles.builtin import OUR_APPS
from webhooks.models import Delivery

# The groups of numbers on the first page.
NOW, FAILING = "current", "failing"


class Chooser(AutocompleteJsonView):
    """What a search box offers: two people of one name are told apart by their usernames."""

    def process_request(self, request: HttpRequest) -> Any:
        """Offer what a field can hold. The stock view also takes relations that come back to a model, and fails."""
        found = super().process_request(request)
        if not found[2].concrete:
            raise PermissionDenied
        return found

    def has_perm(self, request: HttpRequest, obj: Any = None) -> bool:
        """Owners choose among people by name, though they do not see their pages."""
        owner = issubclass(self.model_admin.model, User) and request.user.has_perm(OWNS)
        return owner or super().has_perm(request, obj)

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        result: dict[str, str] = super().serialize_result(obj, to_field_name)
        if isinstance(obj, User):
            state = "" if obj.is_active else f" · {gettext('disabled')}"
            result["text"] += f" · {obj.username}{state}"
        return result


class Tile(NamedTuple):
    """A number, and the list of what it counts."""

    number: int
    word: Promise
    url: str


class Watched(NamedTuple):
    """Rows that somebody with a permission counts on the first page, and what the address of their list says."""

    group: str
    permission: str
    word: Promise
    rows: Callable[[datetime], Any]
    query: Callable[[datetime], str]


def _always(query: str) -> Callable[[datetime], str]:
    return lambda at: query


WATCHED = (
    Watched(
        NOW,
        "approvals.view_request",
        _("Requests waiting for approval"),
        lambda at: Request.objects.pending(),
        _always("status__exact=pending_approval"),
    ),
    Watched(
        NOW,
        "assignments.view_activeassignment",
        _("Roles activated now"),
        lambda at: ActiveAssignment.objects.in_force(at).activated(),
        _always("state=active&how=activated"),
    ),
    Watched(
        NOW,
        "assignments.view_eligibleassignment",
        _("Eligible assignments ending soon"),
        lambda at: EligibleAssignment.objects.in_force(at).filter(ends_at__lte=at + EXTEND_WINDOW),
        _always("ends=soon"),
    ),
    Watched(
        NOW,
        "assignments.view_activeassignment",
        _("Assigned active, ending soon"),
        lambda at: ActiveAssignment.objects.in_force(at).assigned().filter(ends_at__lte=at + EXTEND_WINDOW),
        _always("ends=soon&how=assigned"),
    ),
    Watched(
        NOW,
        "reviews.view_instance",
        _("Access reviews in progress"),
        lambda at: Instance.objects.filter(state=Instance.State.IN_PROGRESS),
        _always("state__exact=in_progress"),
    ),
    Watched(
        NOW,
        "reviews.view_instance",
        _("Results of access reviews to be applied"),
        lambda at: Instance.objects.filter(state=Instance.State.COMPLETED),
        _always("state__exact=completed"),
    ),
    Watched(
        FAILING,
        "approvals.view_emergencyuse",
        _("Emergency uses to be reviewed"),
        lambda at: EmergencyUse.objects.unreviewed(),
        _always("reviewed_at__isnull=True"),
    ),
    Watched(
        FAILING,
        "approvals.view_emergencyuse",
        _("Reviews of emergency uses that are overdue"),
        EmergencyUse.objects.overdue,
        lambda at: f"reviewed_at__isnull=True&review_by__lt={at:%Y-%m-%dT%H:%M:%SZ}",
    ),
    Watched(
        FAILING,
        "notifications.view_message",
        _("Mails that could not be sent"),
        lambda at: Message.objects.filter(state=Message.State.FAILED),
        _always("state__exact=failed"),
    ),
    Watched(
        FAILING,
        "notifications.view_message",
        _("Mails waiting to be sent"),
        lambda at: Message.objects.filter(state=Message.State.QUEUED),
        _always("state__exact=queued"),
    ),
    Watched(
        FAILING,
        "webhooks.view_delivery",
        _("Webhook messages given up"),
        lambda at: Delivery.objects.filter(state=Delivery.State.GIVEN_UP),
        _always("state__exact=given_up"),
    ),
)


def watched(held: set[str], group: str, at: datetime) -> list[Tile]:
    """Count what needs a look, as far as the permissions that are held allow to see it."""
    seen = [(each, each.rows(at)) for each in WATCHED if each.group == group and each.permission in held]
    return [Tile(rows.count(), each.word, f"{list_of(rows.model)}?{each.query(at)}") for each, rows in seen]


def sick(held: set[str], at: datetime) -> list[str]:
    """Return what is wrong with the site itself, for those who may see that: one short sentence each."""
    if "pim_site.view_heartbeat" not in held:
        return []
    words = {
        "worker": _("The worker gives no sign of life: nothing expires in writing, and no mail is sent."),
        "duties": _("Something that the worker should have done waits for more than five minutes."),
        "schedules": _("The schedules of the worker differ from those of the program. Start the worker anew."),
        "audit": _("The audit has not been signed lately, or its signing is refused. Run audit_verify."),
    }
    parts = readiness(at)
    return [str(sentence) for part, sentence in words.items() if not parts[part]]


def alerting(held: set[str], at: datetime) -> dict[str, Any]:
    """Count what alerts have found, the worst first, and say when they were scanned, for those who may see them."""
    if "alerts.view_incident" not in held:
        return {}
    active, page = Incident.objects.active(), list_of(Incident)
    words = {
        Severity.HIGH: _("of high severity"),
        Severity.MEDIUM: _("of medium severity"),
        Severity.LOW: _("of low severity"),
    }
    tiles = [
        Tile(
            active.filter(alert__severity=severity).count(),
            word,
            f"{page}?state__exact=active&severity={severity.value}",
        )
        for severity, word in words.items()
    ]
    rows = Alert.objects.known().filter(is_enabled=True)
    scanned_at = rows.order_by("-scanned_at").values_list("scanned_at", flat=True).exclude(scanned_at=None).first()
    return {"tiles": tiles, "scanned_at": scanned_at, "late": rows.due(at - EVERY).exists(), "url": list_of(Alert)}


def standing(held: set[str]) -> list[Tile]:
    """Count whom standing access reaches, for those who may see active assignments."""
    if "assignments.view_activeassignment" not in held:
        return []
    at, page = now(), list_of(ActiveAssignment)
    return [Tile(insight.count(at), insight.title, f"{page}?insight={insight.key}") for insight in INSIGHTS]


class ConsoleSite(OTPAdminSite):
    """Whoever has a right in force and has proved a second factor comes in; there is no second sign-in page."""

    site_header = _("PIM console")
    site_title = _("PIM console")
    index_title = _("Console")
    enable_nav_sidebar = True

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.disable_action("delete_selected")

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Take in our own models only: a schedule of django-q2 runs code, a device of django-otp shows secrets."""
        models: Any = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        ours = [model for model in models if model._meta.app_label in OUR_APPS]
        super().register(ours, admin_class, **options)

    def get_urls(self) -> list[Any]:
        """Without the way from a row to its page on the site: no row has one, and a key of no row made it fail."""
        stock = [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]
        return [path("dashboard/", self.admin_view(dashboard(self)), name="dashboard"), *stock]

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Answer the methods that pages are asked with: the stock views take any other one for a GET."""
        return require_http_methods(["GET", "HEAD", "POST"])(super().admin_view(view, cacheable))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        held, at = request.user.get_all_permissions(), now()
        shown: dict[str, Any] = {group: watched(held, group, at) for group in (NOW, FAILING)}
        shown |= {
            "sick": sick(held, at),
            "alerts": alerting(held, at),
            "insights": standing(held),
            "trends": glance(held, Period(USUAL, at)),
        }
        page: HttpResponse = super().index(request, shown | (extra_context or {}))
        return page

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:
        return Chooser.as_view(admin_site=self)(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send strangers to the sign-in page, and people without a right to their own home with a word why."""
        if request.user.is_authenticated:
            return redirect("no-console")
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseRedirect:
        return redirect("accounts:sign-out")

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseRedirect:
        return redirect("accounts:security")
