"""What people type to sign in, to confirm, and to change what they sign in with."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html, validate_password
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from .models import Passkey, TotpDevice, User
from .passkeys import LONGEST_ANSWER
from .tokens import Scope, networks_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class Factor(TypedDict):
    """The arguments of `services.prove` that a page sends."""

    code: str
    app: TotpDevice | None
    passkey: str


def apps_of(user: User) -> QuerySet[TotpDevice]:
    apps: QuerySet[TotpDevice] = TotpDevice.objects.filter(user=user, confirmed=True).order_by("pk")
    return apps


def passkeys_of(user: User) -> QuerySet[Passkey]:
    passkeys: QuerySet[Passkey] = Passkey.objects.filter(user=user, confirmed=True).order_by("pk")
    return passkeys


class OnceInput(forms.TextInput):
    """A page that comes back has it empty: what serves once is either used up or refused."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class HiddenOnceInput(OnceInput):
    input_type = "hidden"


class MailForm(forms.Form):
    """When mail that may wait is sent."""

    AT_ONCE, DAILY = "at_once", "daily"
    rhythm = forms.ChoiceField(
        label=_("When it comes"),
        choices={
            AT_ONCE: _("At once, each by itself"),
            DAILY: _("Once a day, all in one mail, at seven in the morning of your time zone"),
        },
        widget=forms.RadioSelect,
    )

    weekly = forms.BooleanField(
        label=_(
            "A mail on Mondays that sums up the week: who was given what, what was activated, which alerts are open"
        ),
        required=False,
    )

    def __init__(self, data: Any, *, person: User) -> None:
        """Ask those who may read the audit for the mail of the week too: it is sent to nobody else."""
        rhythm = self.DAILY if person.daily_digest else self.AT_ONCE
        super().__init__(data, initial={"rhythm": rhythm, "weekly": person.weekly_digest})
        if not person.has_perm("audit.view_event"):
            del self.fields["weekly"]

    @property
    def daily_digest(self) -> bool:
        return bool(self.cleaned_data["rhythm"] == self.DAILY)

    @property
    def weekly_digest(self) -> bool | None:
        """Return None where it was not asked."""
        return self.cleaned_data.get("weekly")


def code_field(*, label: "StrOrPromise", help_text: "StrOrPromise" = "", letters: bool = False) -> forms.CharField:
    """Return the field of a one-time code; with `letters` a phone offers all its keys, as a recovery code needs."""
    attributes = {
        "class": "pim-code-input",
        "inputmode": "text" if letters else "numeric",
        "autocomplete": "one-time-code",
        "autocapitalize": "none",
        "spellcheck": "false",
    }
    return forms.CharField(label=label, help_text=help_text, max_length=40, widget=OnceInput(attributes))


class SignInForm(forms.Form):
    identifier = forms.CharField(
        label=_("Username or e-mail address"),
        max_length=254,
        widget=forms.TextInput(
            {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )


class AppChoiceField(forms.ModelChoiceField):  # type: ignore[type-arg]  # takes no type argument at run time
    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name)


class CodeForm(forms.Form):
    """A fresh proof of a factor that `user` has: a code, or in its place a passkey.

    Which app the code comes from is asked only of those who have several. The passkey is asked by a script, which
    fills in what the browser answered.
    """

    app = AppChoiceField(label=_("Code from"), queryset=TotpDevice.objects.none(), empty_label=None)
    code_is_required = True  # where not, the service says whether it is
    passkey_alone = False

    def __init__(self, *args: Any, user: User, letters: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.letters = user, letters
        field, apps = self.fields.pop("app"), apps_of(user)
        if len(apps) > 1:
            field.queryset = apps  # type: ignore[attr-defined]
            field.initial = max(apps, key=lambda app: (app.last_used_at is not None, app.last_used_at, app.pk))
            self.fields["app"] = field
        self.fields["code"] = code_field(
            label=_("Recovery code") if letters else _("One-time code"),
            help_text=_("One of your unused recovery codes, or the code that your authenticator app shows now.")
            if letters
            else _("The six digits that your authenticator app shows now, or a recovery code."),
            letters=letters,
        )
        self.fields["passkey"] = forms.CharField(required=False, max_length=LONGEST_ANSWER, widget=HiddenOnceInput())
        self.has_passkey = passkeys_of(user).exists()
        for name in {"app", "code"} & self.fields.keys():
            self.fields[name].required = self.code_is_required and not self.has_passkey

    def ask_no_code(self) -> None:
        for name in {"app", "code", "passkey"} & self.fields.keys():
            del self.fields[name]

    def ask_passkey_alone(self) -> None:
        """No code will do; the page includes ``accounts/_passkey_alone.html`` in their place."""
        self.passkey_alone = True
        for name in {"app", "code"} & self.fields.keys():
            del self.fields[name]

    @property
    def asked(self) -> dict[str, Any]:
        """What was filled in besides."""
        return {name: value for name, value in self.cleaned_data.items() if name not in Factor.__annotations__}

    @property
    def factor(self) -> Factor:
        typed = self.cleaned_data
        return {"code": typed.get("code", ""), "app": typed.get("app"), "passkey": typed.get("passkey", "")}


class NewPasswordFields(forms.Form):
    """A new password of `self.user`, typed twice."""

    user: User
    password = forms.CharField(
        label=_("New password"),
        strip=False,
        max_length=1024,
        help_text=password_validators_help_text_html,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )
    password_again = forms.CharField(
        label=_("New password, again"),
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, self.user)
        return password

    def clean_password_again(self) -> str:
        again: str = self.cleaned_data["password_again"]
        if "password" in self.cleaned_data and again != self.cleaned_data["password"]:
            raise ValidationError(_("The two passwords differ. Type the same one twice."), code="password_mismatch")
        return again


class EnrolmentForm(NewPasswordFields):
    new_code = code_field(label=_("Code of the app"), help_text=_("The six digits that the app shows now."))

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user


class AppForm(CodeForm):
    """One more authenticator app, confirmed by a factor that is there already."""

    name = forms.CharField(
        label=_("Name of the new app"),
        max_length=64,
        help_text=_("So that you can tell your apps apart, such as “Work phone”."),
    )
    new_code = code_field(label=_("Code of the new app"), help_text=_("The six digits that the new app shows now."))


class PasswordForm(NewPasswordFields, CodeForm):
    pass


class PasskeyNameForm(CodeForm):
    """The first step to a passkey: what it is to be called, confirmed by a factor that is there already."""

    name = forms.CharField(
        label=_("Name of the passkey (optional)"),
        max_length=64,
        required=False,
        help_text=_("So that you can tell your passkeys apart, such as “Laptop” or “Blue security key”."),
    )


class PasskeyRenameForm(CodeForm):
    """Another name for a passkey, confirmed by a factor."""

    name = forms.CharField(label=_("New name"), max_length=64)


class PasskeyForm(forms.Form):
    """The second step: what the browser answered, and what confirmed the first."""

    name = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput())
    proof = forms.UUIDField(widget=forms.HiddenInput())
    passkey = forms.CharField(max_length=LONGEST_ANSWER, widget=HiddenOnceInput())


def _days(number: str) -> timedelta:
    return timedelta(days=int(number))


def _hours(number: str) -> timedelta:
    return timedelta(hours=int(number))


class TokenForm(CodeForm):
    """What a new API token is for, confirmed by a factor: the arguments of `services.create_token`."""

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("What uses it. Example: Deployment of the shop, laptop.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("May be used to"), choices=Scope.choices, initial=[Scope.READ], widget=forms.CheckboxSelectMultiple
    )
    lifetime = forms.TypedChoiceField(
        label=_("Ends after"),
        choices=[("7", _("7 days")), ("30", _("30 days")), ("90", _("90 days")), ("365", _("a year"))],
        initial="90",
        coerce=_days,
    )
    networks = forms.CharField(
        label=_("Only from these addresses (optional)"),
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("Addresses or networks. Example: 192.0.2.17, 2001:db8::/32. Empty: from anywhere."),
    )

    def clean_networks(self) -> list[str]:
        return networks_of(self.cleaned_data["networks"])


class TokenRotateForm(CodeForm):
    """How long the former token goes on, confirmed by a factor."""

    overlap = forms.TypedChoiceField(
        label=_("The former token ends"),
        choices=[("0", _("at once")), ("1", _("in an hour")), ("24", _("in a day")), ("168", _("in a week"))],
        initial="24",
        coerce=_hours,
    )
