"""Hooks: other systems that are asked before people are."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.endpoints import OLD_SECRET_COUNTS
from accounts.models import User
from pim_site.templatetags.pim import moment
from roles.hooks import Hook
from roles.models import RoleSettings
from roles.services import disable_hook, enable_hook, register_hook, renew_hook_secret, try_hook, update_hook

from .base import Act, Section, ServiceAdmin, link
from .forms import NotedReasonForm, ServiceForm


class HookForm(ServiceForm):
    class Meta:
        help_texts = {
            "name": gettext_lazy("What settings and requests call it. Example: On-call plan"),
            "url": gettext_lazy("Example: https://hooks.example.org/pim. It is called by the worker, never by a page."),
        }


def what_a_secret_does(hook: Hook) -> Iterator[str]:
    yield _("A new secret is made and shown this one time. Give it to %(hook)s, which checks with it who asks.") % {
        "hook": hook
    }
    if hook.secret:
        hours = OLD_SECRET_COUNTS.total_seconds() // 3600
        yield _("Messages are signed with the present one too for %(hours)d hours, so that nothing is lost.") % {
            "hours": hours
        }


def what_a_test_does(hook: Hook) -> Iterator[str]:
    yield _("A signed message of the type “hook.test” is sent to %(url)s. It is about nobody.") % {"url": hook.url}


def what_disabling_does(hook: Hook) -> Iterator[str]:
    named = list(_named_by(hook))
    if not named:
        yield _("%(hook)s is asked no more. No settings name it now.") % {"hook": hook}
        return
    yield _("%(hook)s is asked no more. What names it goes on at once as if it did not answer:") % {"hook": hook}
    for unanswered in RoleSettings.Unanswered:
        count = sum(version.hook_unanswered == unanswered for version in named)
        if count:
            text = ngettext("In %(count)d place: %(what)s.", "In %(count)d places: %(what)s.", count)
            yield text % {"count": count, "what": unanswered.label}


def what_enabling_does(hook: Hook) -> Iterator[str]:
    yield _("%(hook)s is asked again by what names it.") % {"hook": hook}


def _named_by(hook: Hook) -> Any:
    return RoleSettings.objects.current().filter(hook=hook).select_related("role", "scope").order_by("role__name")


@admin.register(Hook)
class HookAdmin(ServiceAdmin):
    form = HookForm
    list_display = ["name", "url", "is_enabled", "secret_made", "tested", "test_outcome"]
    list_filter = ["is_enabled"]
    search_fields = ["name", "url"]
    fields = ["name", "url", "is_enabled", "secret_made", "tested", "test_outcome"]
    readonly_fields = ["is_enabled", "secret_made", "tested", "test_outcome"]
    acts = (
        Act(
            slug="secret",
            label=gettext_lazy("New secret"),
            permissions=("roles.change_hook",),
            offered=lambda hook, at: True,
            says=what_a_secret_does,
            does=lambda hook, **facts: renew_hook_secret(hook=hook, **facts),
            done=str,
            form=forms.Form,
            result_template="admin/hook_secret.html",
        ),
        Act(
            slug="test",
            label=gettext_lazy("Test"),
            permissions=("roles.change_hook",),
            offered=lambda hook, at: hook.is_usable,
            says=what_a_test_does,
            does=lambda hook, **facts: try_hook(hook=hook, **facts),
            done=str,
            form=forms.Form,
            result_template="admin/hook_tested.html",
        ),
        Act(
            slug="disable",
            label=gettext_lazy("Disable"),
            permissions=("roles.change_hook",),
            offered=lambda hook, at: hook.is_enabled,
            says=what_disabling_does,
            does=lambda hook, **facts: disable_hook(hook=hook, **facts),
            done=lambda hook: _("%(hook)s is asked no more.") % {"hook": hook},
            form=NotedReasonForm,
            danger=True,
        ),
        Act(
            slug="enable",
            label=gettext_lazy("Enable"),
            permissions=("roles.change_hook",),
            offered=lambda hook, at: not hook.is_enabled,
            says=what_enabling_does,
            does=lambda hook, **facts: enable_hook(hook=hook, **facts),
            done=lambda hook: _("%(hook)s is asked again.") % {"hook": hook},
            form=NotedReasonForm,
        ),
    )

    def get_fields(self, request: HttpRequest, obj: Hook | None = None) -> Any:
        return self.fields if obj else ["name", "url"]

    @admin.display(description=gettext_lazy("tested"), ordering="tested_at")
    def tested(self, hook: Hook) -> str:
        return moment(hook.tested_at) or "–"

    @admin.display(description=gettext_lazy("secret made"), ordering="secret_made_at")
    def secret_made(self, hook: Hook) -> str:
        return moment(hook.secret_made_at) or _("None yet: choose “New secret”. Nothing is asked without one.")

    def create(self, actor: User, values: dict[str, Any]) -> Hook:
        return register_hook(actor=actor, **values)

    def update(self, row: Hook, actor: User, values: dict[str, Any]) -> Hook:
        return update_hook(hook=row, actor=actor, **values)

    def sections(self, request: HttpRequest, row: Hook) -> list[Section]:
        rows = [[link(each.role), str(each.scope), each.get_hook_unanswered_display()] for each in _named_by(row)[:50]]
        return [Section(_("Settings that name it"), [_("Role"), _("Scope"), _("If it does not answer")], rows)]
