"""API tokens in the console: those of service accounts, which have no pages of their own, and whose a person has."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.forms import TokenForm, TokenRotateForm
from accounts.models import ApiToken, User
from accounts.rules import intent_digest
from accounts.services import create_token, revoke_token, rotate_token, token_facts
from accounts.services.tokens import ISSUES
from pim_site.templatetags.pim import moment

from .base import Act, Section


def open_tokens(user: User) -> QuerySet[ApiToken]:
    return ApiToken.objects.open(now()).filter(user=user).select_related("user")


class TokenChoiceField(forms.ModelChoiceField):  # type: ignore[type-arg]  # takes no type argument at run time
    def __init__(self) -> None:
        super().__init__(ApiToken.objects.none(), label=gettext_lazy("Token"), empty_label=None)


class IssueTokenForm(TokenForm):
    def __init__(self, data: Any = None, *, row: User, actor: User) -> None:
        super().__init__(data, user=actor)


class ReplaceTokenForm(TokenRotateForm):
    token = TokenChoiceField()
    field_order = ("token", "overlap")

    def __init__(self, data: Any = None, *, row: User, actor: User) -> None:
        super().__init__(data, user=actor)
        self.fields["token"].queryset = open_tokens(row)  # type: ignore[attr-defined]


class RevokeTokenForm(forms.Form):
    token = TokenChoiceField()

    def __init__(self, data: Any = None, *, row: User, actor: User) -> None:
        super().__init__(data)
        self.fields["token"].queryset = open_tokens(row)  # type: ignore[attr-defined]


def what_issuing_does(user: User) -> Iterator[str]:
    yield _("A token is made and shown once, on the next page.")
    yield _("Whoever has it acts as %(user)s, within what %(user)s holds at that moment.") % {"user": user}


def what_replacing_does(user: User) -> Iterator[str]:
    yield _("A new token with the same scopes, networks and lifetime is made and shown once, on the next page.")
    yield _("Both count until the former one ends, so that the new one can be put in place.")


def what_revoking_does(user: User) -> Iterator[str]:
    yield _("Whatever uses the token that you choose is refused from this moment on. It does not come back.")


TOKEN_ACTS = (
    Act(
        slug="issue-token",
        label=gettext_lazy("Issue API token"),
        permissions=(ISSUES,),
        offered=lambda user, at: user.is_active and not user.is_person,
        says=what_issuing_does,
        does=lambda user, **facts: create_token(user=user, **facts),
        done=lambda user: _("A token was issued for %(user)s.") % {"user": user},
        form=IssueTokenForm,
        asks_of_row=True,
        intent=lambda user, **facts: intent_digest("token.created", **token_facts(user=user, **facts)),
        result_template="admin/token_shown.html",
    ),
    Act(
        slug="rotate-token",
        label=gettext_lazy("Replace API token"),
        permissions=(ISSUES,),
        offered=lambda user, at: not user.is_person and open_tokens(user).exists(),
        says=what_replacing_does,
        does=lambda user, **facts: rotate_token(**facts),
        done=lambda user: _("The token was replaced."),
        form=ReplaceTokenForm,
        asks_of_row=True,
        intent=lambda user, token, overlap: intent_digest("token.rotated", token=token.pk, overlap=overlap),
        result_template="admin/token_shown.html",
    ),
    Act(
        slug="revoke-token",
        label=gettext_lazy("Revoke API token"),
        permissions=(ISSUES, "accounts.disable_user"),
        offered=lambda user, at: open_tokens(user).exists(),
        says=what_revoking_does,
        does=lambda user, **facts: revoke_token(**facts),
        done=lambda user: _("The token was revoked."),
        form=RevokeTokenForm,
        asks_of_row=True,
        danger=True,
    ),
)


def token_section(user: User) -> Section:
    heads = [_("Name"), _("Token"), _("Scopes"), _("Ends"), _("Last used")]
    rows = [
        [each.name, f"pim_{each.key}…", each.scopes, moment(each.expires_at), moment(each.last_used_at)]
        for each in open_tokens(user)
    ]
    return Section(_("API tokens"), heads, rows)
