"""What the pages of the console share: they show; services change, and what these refuse is said in the form."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import may
from accounts.forms import CodeForm
from accounts.models import User
from accounts.rules import NotAllowed, StepUpRefused
from accounts.sessions import prove
from assignments.ownership import OWNS
from audit.models import Event
from pim_site.home import MOST_WORDS
from pim_site.pages import list_of as list_of
from pim_site.pages import page_of as page_of

from .forms import ReasonForm, Refusal, ServiceForm, add_refusal
from .many import carry_out_each
from .widgets import autocomplete

# A page that asks about more rows than this is not read any more.
BULK_LIMIT = 200
# The comparisons that the stock filters and our own links write into an address.
COMPARISONS = ("", "exact", "id__exact", "key__exact", "isnull", "isempty", "gte", "lt")


class Button(NamedTuple):
    label: str | Promise
    url: str
    style: str = "secondary"


class Section(NamedTuple):
    """A table below an object: what belongs to it elsewhere, and the address of all of it."""

    title: str
    heads: list[str]
    rows: list[list[Any]]
    more: str = ""

    @property
    def labelled_rows(self) -> list[list[tuple[str, Any]]]:
        """Each cell with its head, which a phone shows beside it."""
        return [list(zip(self.heads, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Act:
    """A button on an object's page, and the page behind it: GET says what will happen, POST has a service do it.

    Args:
        slug: its part of the address.
        permissions: any one of them shows the button; the service has the last word.
        offered: does it make sense for this row at this moment?
        says: the sentences that tell what will happen, and to whom.
        does: calls the service with the row, the actor and what the form asked for.
        done: the sentence for afterwards.
        intent: what a proof of a second factor must be made for, from the row and the form; None where none is asked.
            The service then takes `validate_only` too.
        result_template: shows what `does` returned instead of going back to the object.
        bulk: can be done to several rows of the list, with a result for each.
        form: what it asks; with `asks_of_row`, made with `row` (None in bulk) and `actor`, whose factor it may ask for.
        bulk_form: what it asks in bulk, where that is something else; made with `rows` and `actor`.
        is_the_end: the object has no page afterwards, so one goes to the list.
        hindered: what stands in the way of it, said instead of a button that would be refused.
    """

    slug: str
    label: str | Promise
    permissions: tuple[str, ...]
    offered: Callable[[Any, datetime], bool]
    says: Callable[[Any], Iterable[str]]
    does: Callable[..., Any]
    done: Callable[[Any], str]
    form: type[forms.Form] = ReasonForm
    intent: Callable[..., str] | None = None
    result_template: str = ""
    danger: bool = False
    bulk: bool = False
    asks_of_row: bool = False
    bulk_form: Callable[..., forms.Form] | None = None
    is_the_end: bool = False
    hindered: Callable[[Any], list[str]] = lambda row: []

    def is_permitted(self, user: User, row: Any = None) -> bool:
        return may(user, *self.permissions, at=row)

    def hindrances(self, row: Any, at: datetime) -> list[str]:
        """Return what stands in the way of doing it to a row at this moment."""
        too_late = _("As it is now, this cannot be done. Go back to see what has happened meanwhile.")
        return self.hindered(row) or ([] if self.offered(row, at) else [too_late])

    def asks(self, row: Any, actor: User, data: Any) -> forms.Form:
        """Return the form about a row."""
        about: dict[str, Any] = {"user": actor} if issubclass(self.form, CodeForm) else {}
        if self.asks_of_row:
            about = {"row": row, "actor": actor}
        return self.form(data, **about)

    def asks_many(self, rows: Iterable[Any], actor: User, data: Any) -> forms.Form:
        """Return the form about several rows."""
        return self.bulk_form(data, rows=rows, actor=actor) if self.bulk_form else self.asks(None, actor, data)

    def facts(self, request: HttpRequest, row: Any, form: forms.Form) -> dict[str, Any]:
        """Return what the service takes besides row and actor, the proof made for it included."""
        if not isinstance(form, CodeForm):
            return form.cleaned_data
        if self.intent is None or "code" not in form.fields:
            return form.asked
        actor = actor_of(request)
        self.does(row, actor=actor, validate_only=True, **form.asked)  # a code is not used up for what cannot be
        proof = prove(request, actor, form.factor, self.intent(row, **form.asked))
        return {**form.asked, "proof": proof, "session": request.session["binding"]}


def actor_of(request: HttpRequest) -> User:
    """Return the person who is signed in; the console lets in nobody else."""
    assert isinstance(request.user, User)  # noqa: S101 (said to the type checker)
    return request.user


def messages_of(refusal: Refusal) -> list[str]:
    return refusal.messages if isinstance(refusal, ValidationError) else [str(refusal)]


def link(row: Model, text: Any = None) -> SafeString:
    return format_html('<a href="{}">{}</a>', page_of(row), str(row) if text is None else text)


def events_of(row: Model) -> str:
    return list_of(Event, target_type=row._meta.label_lower, target_id=row.pk)


class ConsoleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Pages that show rows, with buttons for what may be done to them. Nothing is written from here."""

    acts: ClassVar[tuple[Act, ...]] = ()
    # The columns by which links from other pages narrow the list, besides its own filters.
    narrowed_by: ClassVar[tuple[str, ...]] = ()
    change_form_template = "admin/record.html"
    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def owned(self, user: User) -> Q | None:
        """Return which rows the owners of places and groups see here; None: none at all."""
        return None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._sees_all(request) or self._owned_by(request) is not None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) or self._owned_by(request) is not None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Show owners what they own, and nothing else: any other row is unknown to them."""
        rows = super().get_queryset(request)
        owned = None if self._sees_all(request) else self._owned_by(request)
        return rows if owned is None else rows.filter(owned)

    def seen(self, request: HttpRequest, model: type[Model]) -> Any:
        """Return the rows of another model that this person may see, for a table on a page of this one."""
        pages: Any = self.admin_site.get_model_admin(model)
        rows = pages.get_queryset(request)
        return rows if pages.has_view_permission(request) else rows.none()

    def _sees_all(self, request: HttpRequest) -> bool:
        return super().has_view_permission(request)

    def _owned_by(self, request: HttpRequest) -> Q | None:
        user = actor_of(request)
        return self.owned(user) if user.has_perm(OWNS) else None

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        raise PermissionDenied

    def links(self, request: HttpRequest, row: Any) -> list[Button]:
        """Return the buttons that lead to other pages about this row."""
        return []

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return []

    def sections(self, request: HttpRequest, row: Any) -> list[Section]:
        return []

    def buttons(self, request: HttpRequest, row: Any) -> list[Button]:
        """Return the acts that are permitted to this person and make sense now, and the ways to other pages."""
        user, at = actor_of(request), now()
        acts = [act for act in self.acts if act.offered(row, at) and act.is_permitted(user, row)]
        buttons = [Button(act.label, page_of(row, act.slug)) for act in acts]
        audit = [Button(_("Audit"), events_of(row))] if user.has_perm("audit.view_event") else []
        return [*buttons, *self.links(request, row), *audit]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if row := kwargs.get("obj"):
            context |= {"buttons": self.buttons(request, row), "sections": self.sections(request, row)}
        return super().render_change_form(request, context, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"buttons": self.list_buttons(request), "title": capfirst(str(self.opts.verbose_name_plural))}
        return super().changelist_view(request, context | (extra_context or {}))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return no row for a name that the database could not look up."""
        return None if "\0" in object_id else super().get_object(request, object_id, from_field)

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Narrow by what the list offers, and by nothing else.

        The stock console compares with any column: who may see people could read the digests of their passwords, by
        asking for one letter after the other.
        """
        columns = {*self.narrowed_by, *map(_column_of, self.list_filter)}
        offered = {f"{column}__{comparison}".removesuffix("__") for column in columns for comparison in COMPARISONS}
        return lookup in offered and "\0" not in str(value)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        return super().get_search_results(request, queryset, " ".join(search_term.split()[:MOST_WORDS]))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Go to the audit: it knows all that happened, not only what was clicked here."""
        return redirect(events_of(self.found(request, object_id)))

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row of this id, if this person may see it."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise NotAllowed
        return row

    # --- acts -----------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        pages = [self.page(f"<path:object_id>/{act.slug}/", act.slug, self.act_view, act=act) for act in self.acts]
        return [*pages, *super().get_urls()]

    def page(self, route: str, name: str, view: Callable[..., HttpResponseBase], **kwargs: Any) -> URLPattern:
        """Return the address of a page of this model, behind the console's door."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(route, self.admin_site.admin_view(view), kwargs, name=name)

    def act_view(self, request: HttpRequest, object_id: str, act: Act) -> HttpResponse:
        """Say what the act will do; on POST, do it. Without the permission the service itself refuses, and notes it."""
        row, user = self.found(request, object_id), actor_of(request)
        permitted = act.is_permitted(user, row)
        form = act.asks(row, user, request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                return self._answer(request, row, act, act.does(row, actor=user, **act.facts(request, row, form)))
            except (ValidationError, NotAllowed) as refusal:
                add_refusal(form, refusal)
        if not permitted:
            raise NotAllowed
        hindrances = act.hindered(row) if form.is_bound else act.hindrances(row, now())
        context = {"hindrances": hindrances, "sentences": hindrances or list(act.says(row))}
        return self.shown(request, "admin/act.html", act.label, row=row, act=act, form=form, **context)

    def _answer(self, request: HttpRequest, row: Any, act: Act, result: Any) -> HttpResponse:
        if act.result_template:
            return self.shown(request, act.result_template, act.label, row=row, result=result)
        messages.success(request, act.done(row))
        return redirect(list_of(self.model) if act.is_the_end else page_of(row))

    def shown(self, request: HttpRequest, template: str, title: str | Promise, **context: Any) -> HttpResponse:
        """Render a page of this model that the stock admin does not have."""
        frame = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, "model_admin": self}
        if row := context.get("row"):
            frame |= {"subtitle": str(row), "row_url": page_of(row)}
        return TemplateResponse(request, template, frame | context)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        user = actor_of(request)
        for act in self.acts:
            if act.bulk and act.is_permitted(user):
                actions[act.slug] = (partial(_bulk, act=act), act.slug, str(act.label))
        return actions

    def bulk_view(self, request: HttpRequest, rows: QuerySet[Any], act: Act) -> HttpResponse | None:
        """Ask about all chosen rows at once, then do each by itself and say what became of it."""
        if len(rows) > BULK_LIMIT:
            text = _("Choose at most %(limit)d rows at once, so that the page can be read.")
            messages.error(request, text % {"limit": BULK_LIMIT})
            return None
        form = act.asks_many(rows, actor_of(request), request.POST if "confirmed" in request.POST else None)
        context: dict[str, Any] = {
            "act": act,
            "form": form,
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        }
        if form.is_valid():
            try:
                context["results"] = self._results(request, rows, act, form)
            except StepUpRefused as refusal:
                add_refusal(form, refusal)
        if "results" not in context:
            hindered = [(row, act.hindrances(row, now())) for row in rows]
            context["hindered"] = [(row, sentences) for row, sentences in hindered if sentences]
            context["told"] = [(row, act.says(row)) for row, sentences in hindered if not sentences]
        return self.shown(request, "admin/act_bulk.html", act.label, **context)

    def _results(self, request: HttpRequest, rows: QuerySet[Any], act: Act, form: forms.Form) -> list[dict[str, Any]]:
        does = partial(act.does, actor=actor_of(request))
        return [
            {"row": each.thing, "state": "refused", "text": " ".join(messages_of(each.refusal))}
            if each.refusal
            else {"row": each.thing, "state": "success", "text": act.done(each.thing)}
            for each in carry_out_each(request, form, list(rows), does, act.intent)
        ]


def _column_of(list_filter: Any) -> str:
    if isinstance(list_filter, tuple):
        list_filter = list_filter[0]
    return str(getattr(list_filter, "parameter_name", list_filter))


def _bulk(model_admin: ConsoleAdmin, request: HttpRequest, rows: QuerySet[Any], *, act: Act) -> HttpResponse | None:
    return model_admin.bulk_view(request, rows, act)


class ServiceAdmin(ConsoleAdmin):
    """Pages whose form is carried out by a service: `create` and `update` call it with what the form holds."""

    form = ServiceForm

    def create(self, actor: User, values: dict[str, Any]) -> Model:
        raise NotImplementedError

    def update(self, row: Any, actor: User, values: dict[str, Any]) -> Any:
        raise NotImplementedError

    def has_add_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).has_perm(f"{self.opts.app_label}.add_{self.opts.model_name}")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(actor_of(request), f"{self.opts.app_label}.change_{self.opts.model_name}", at=obj)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The stock view without its transaction: in it, a refusal would roll back its own mark in the audit."""
        stock: Callable[..., HttpResponse] = self._changeform_view  # type: ignore[attr-defined]  # not in the stubs
        try:
            return stock(request, object_id, form_url, extra_context)
        except (ValidationError, NotAllowed) as refusal:
            request.refusal = refusal  # type: ignore[attr-defined]  # told to the form, which is made anew
            return stock(request, object_id, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.refusal = getattr(request, "refusal", None)
        return form

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Leave out the icons that open the other row in a window of its own: it has a page and a list."""
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = autocomplete(self.model, db_field.name, multiple=db_field.many_to_many)
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(field and field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with our own defaults: an address may say anything, and no link of ours does."""
        return {}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Have the service do it. The page goes on with the row that the service made."""
        if not change:
            obj.pk = self.create(actor_of(request), form.cleaned_data).pk
        elif form.has_changed():
            self.update(obj, actor_of(request), form.cleaned_data)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """The service has written the relations too."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The audit has it."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The audit has it."""

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Go to the new object: what comes next is done there."""
        return HttpResponseRedirect(page_of(obj))
