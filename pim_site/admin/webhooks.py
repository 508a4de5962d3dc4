"""Webhooks: other systems that are told of what happens, and what became of telling them."""

import json
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.endpoints import OLD_SECRET_COUNTS
from accounts.models import User
from pim_site.templatetags.pim import moment, toned
from webhooks.kinds import Kind
from webhooks.models import Delivery, Subscription
from webhooks.services import (
    disable_subscription,
    enable_subscription,
    renew_subscription_secret,
    send_again,
    subscribe,
    update_subscription,
)

from .base import Act, ConsoleAdmin, Section, ServiceAdmin, actor_of, link, list_of
from .forms import NotedReasonForm, ServiceForm

TONES = {"pending": "waiting", "delivered": "ok", "given_up": "failed"}
MOST_SHOWN = 50


class SubscriptionForm(ServiceForm):
    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("Is told of"), choices=Kind.choices, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        help_texts = {
            "name": gettext_lazy("What lists call it. Example: Ticket system"),
            "url": gettext_lazy(
                "Example: https://tickets.example.org/pim. It is called by the worker, never by a page."
            ),
            "owner": gettext_lazy("Who answers for it. While their account is disabled, nothing is sent."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["kinds"] = self.instance.kinds.split()

    def clean_kinds(self) -> str:
        return " ".join(self.cleaned_data["kinds"])


def what_a_secret_does(row: Subscription) -> Iterator[str]:
    yield _("A new secret is made and shown this one time. Give it to %(name)s, which checks with it who calls.") % {
        "name": row
    }
    if row.secret:
        hours = OLD_SECRET_COUNTS.total_seconds() // 3600
        yield _("Messages are signed with the present one too for %(hours)d hours, so that nothing is lost.") % {
            "hours": hours
        }
    else:
        yield _("From then on it is sent what waits for it, and what happens.")


def what_disabling_does(row: Subscription) -> Iterator[str]:
    yield _("%(name)s is sent nothing more, and not told afterwards of what happens meanwhile.") % {"name": row}
    if count := row.deliveries.filter(state=Delivery.State.PENDING).count():
        text = ngettext("%(count)d message that waits goes", "%(count)d messages that wait go", count)
        yield _("%(messages)s out when it is enabled again.") % {"messages": text % {"count": count}}


def what_enabling_does(row: Subscription) -> Iterator[str]:
    yield _("%(name)s is sent what still waits for it, and is told of what happens from now on.") % {"name": row}


def what_sending_does(row: Delivery) -> Iterator[str]:
    yield _("The message is sent to %(name)s once more, with the same id, and with all its attempts.") % {
        "name": row.subscription
    }


@admin.register(Subscription)
class SubscriptionAdmin(ServiceAdmin):
    form = SubscriptionForm
    list_display = ["name", "url", "told_of", "owner", "failing"]
    list_filter = ["is_enabled"]
    list_select_related = ["owner"]
    search_fields = ["name", "url"]
    autocomplete_fields = ["owner"]
    fields = ["name", "url", "kinds", "owner", "failing", "secret_made", "listens_since"]
    readonly_fields = ["told_of", "failing", "secret_made", "listens_since"]
    acts = (
        Act(
            slug="secret",
            label=gettext_lazy("New secret"),
            permissions=("webhooks.change_subscription",),
            offered=lambda row, at: True,
            says=what_a_secret_does,
            does=lambda row, **facts: renew_subscription_secret(subscription=row, **facts),
            done=str,
            form=forms.Form,
            result_template="admin/hook_secret.html",
        ),
        Act(
            slug="disable",
            label=gettext_lazy("Disable"),
            permissions=("webhooks.change_subscription",),
            offered=lambda row, at: row.is_enabled,
            says=what_disabling_does,
            does=lambda row, **facts: disable_subscription(subscription=row, **facts),
            done=lambda row: _("%(name)s is sent nothing more.") % {"name": row},
            form=NotedReasonForm,
            danger=True,
        ),
        Act(
            slug="enable",
            label=gettext_lazy("Enable"),
            permissions=("webhooks.change_subscription",),
            offered=lambda row, at: not row.is_enabled,
            says=what_enabling_does,
            does=lambda row, **facts: enable_subscription(subscription=row, **facts),
            done=lambda row: _("%(name)s is told again.") % {"name": row},
            form=NotedReasonForm,
        ),
    )

    def get_fields(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        if obj is None:
            return ["name", "url", "kinds", "owner"]
        if self.has_change_permission(request, obj):
            return self.fields
        return ["told_of" if name == "kinds" else name for name in self.fields]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": actor_of(request).pk}

    @admin.display(description=gettext_lazy("is told of"))
    def told_of(self, row: Subscription) -> str:
        return ", ".join(str(Kind(kind).label) for kind in row.kinds.split())

    @admin.display(description=gettext_lazy("secret made"))
    def secret_made(self, row: Subscription) -> str:
        return moment(row.secret_made_at) or _("None yet: choose “New secret”. Nothing is sent without one.")

    @admin.display(description=gettext_lazy("listens since"))
    def listens_since(self, row: Subscription) -> str:
        return moment(row.since)

    @admin.display(description=gettext_lazy("state"))
    def failing(self, row: Subscription) -> SafeString:
        if not row.is_enabled:
            return toned("ended", _("Disabled"))
        if not row.secret:
            return toned("waiting", _("Without a secret"))
        if row.failing_since:
            return toned("failed", _("Failing since %(moment)s") % {"moment": moment(row.failing_since)})
        return toned("ok", _("Working"))

    def create(self, actor: User, values: dict[str, Any]) -> Subscription:
        return subscribe(actor=actor, **_named(values))

    def update(self, row: Subscription, actor: User, values: dict[str, Any]) -> Subscription:
        return update_subscription(subscription=row, actor=actor, **_named(values))

    def sections(self, request: HttpRequest, row: Subscription) -> list[Section]:
        latest = row.deliveries.select_related("notice", "subscription")[:MOST_SHOWN]
        rows = [[link(each, moment(each.notice.at)), _kind(each), _state(each), each.last_outcome] for each in latest]
        heads = [_("Happened"), _("Event"), _("State"), _("Last result")]
        return [Section(_("Messages"), heads, rows, list_of(Delivery, subscription__id__exact=row.pk))]


@admin.register(Delivery)
class DeliveryAdmin(ConsoleAdmin):
    list_display = ["happened", "kind", "subscription", "state_dot", "attempts", "next_attempt", "last_outcome"]
    list_filter = ["state", "subscription"]
    list_select_related = ["subscription", "notice"]
    fields = ["kind", "subscription", "happened", "state_dot", "attempts", "next_attempt", "message_id", "content"]
    sortable_by = ()
    acts = (
        Act(
            slug="send-again",
            label=gettext_lazy("Send again"),
            permissions=("webhooks.change_subscription",),
            offered=lambda row, at: not row.is_open,
            says=what_sending_does,
            does=lambda row, **facts: send_again(delivery=row, **facts),
            done=lambda row: _("The message to %(name)s waits to be sent.") % {"name": row.subscription},
            form=forms.Form,
            bulk=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("subscription", "notice")

    @admin.display(description=gettext_lazy("happened"))
    def happened(self, row: Delivery) -> str:
        return moment(row.notice.at)

    @admin.display(description=gettext_lazy("event"))
    def kind(self, row: Delivery) -> str:
        return _kind(row)

    @admin.display(description=gettext_lazy("state"))
    def state_dot(self, row: Delivery) -> SafeString:
        return _state(row)

    @admin.display(description=gettext_lazy("next attempt"), empty_value="")
    def next_attempt(self, row: Delivery) -> str | None:
        return moment(row.next_attempt_at) if row.is_open else None

    @admin.display(description=gettext_lazy("message id"))
    def message_id(self, row: Delivery) -> str:
        return row.notice.message_id

    @admin.display(description=gettext_lazy("content"))
    def content(self, row: Delivery) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(json.loads(row.notice.body), indent=2, ensure_ascii=False))

    def sections(self, request: HttpRequest, row: Delivery) -> list[Section]:
        rows = [[moment(each.at), each.outcome, f"{each.milliseconds} ms"] for each in row.log.all()[:MOST_SHOWN]]
        return [Section(_("Attempts"), [_("When"), _("Result"), _("Took")], rows)]


def _named(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"kinds": values["kinds"].split()}


def _kind(row: Delivery) -> str:
    return str(Kind(row.notice.kind).label)


def _state(row: Delivery) -> SafeString:
    return toned(TONES[row.state], row.get_state_display())
