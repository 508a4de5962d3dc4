"""The pages of the console on which a CSV file is chosen, looked at and put in force."""

from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pim_site.ascode.document import FileRefused
from pim_site.ascode.reading import Document
from pim_site.imports.packing import packed, unpacked
from pim_site.imports.rows import COLUMNS, HELP, LARGEST_FILE, SHOWN, check_import, example, may_import, read
from pim_site.imports.services import import_rows, plan_rows

from .base import Button, ConsoleAdmin, actor_of, list_of
from .forms import ReasonForm


class FileForm(ReasonForm):
    file = forms.FileField(label=gettext_lazy("File"), widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}))
    field_order = ["file", "justification"]

    def content(self) -> bytes:
        content: bytes = self.cleaned_data["file"].read(LARGEST_FILE + 1)
        return content


class PackedForm(ReasonForm):
    packed = forms.CharField(widget=forms.HiddenInput, strip=True)

    def content(self) -> bytes:
        return unpacked(self.cleaned_data["packed"])


class ImportsRows(ConsoleAdmin):
    """A list that a CSV file adds to. `imports` is the kind of its rows."""

    imports: ClassVar[str]

    def get_urls(self) -> list[URLPattern]:
        pages = [
            self.page("import/", "import", self.import_view),
            self.page("import/example.csv", "example", self.example_view),
        ]
        return [*pages, *super().get_urls()]

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        buttons = super().list_buttons(request)
        url = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_import")
        return [*buttons, Button(_("Import CSV"), url)] if may_import(actor_of(request), self.imports) else buttons

    def example_view(self, request: HttpRequest) -> HttpResponse:
        check_import(actor_of(request), self.imports)
        headers = {"Content-Disposition": f'attachment; filename="{self.imports}.csv"'}
        return HttpResponse(example(self.imports), content_type="text/csv; charset=utf-8", headers=headers)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for a file; show what it would do; do it. What was shown is judged again when it is done."""
        check_import(actor_of(request), self.imports)
        confirmed, data = "packed" in request.POST, request.POST if request.method == "POST" else None
        form: Any = PackedForm(data) if confirmed else FileForm(data, request.FILES or None)
        context: dict[str, Any] = {"columns": COLUMNS[self.imports], "help": HELP[self.imports]}
        if form.is_valid():
            try:
                return self._looked_at(request, form, confirmed, context)
            except FileRefused as refusal:
                context["faults"] = refusal.faults[:SHOWN]
                form = FileForm(initial={"justification": request.POST.get("justification", "")})
        return self.shown(request, "admin/import.html", _("Import CSV"), form=form, **context)

    def _looked_at(self, request: HttpRequest, form: Any, confirmed: bool, context: dict[str, Any]) -> HttpResponse:
        content, justification = form.content(), form.cleaned_data["justification"]
        document: Document = read(self.imports, content)
        what: dict[str, Any] = {"actor": actor_of(request), "document": document, "justification": justification}
        if confirmed:
            done = import_rows(**what)
            messages.success(request, _("Imported: %(summary)s.") % {"summary": done.summary})
            return redirect(list_of(self.model))
        hidden = PackedForm(initial={"packed": packed(content), "justification": justification})
        plan = plan_rows(**what)
        context |= {"plan": plan, "shown_changes": plan.changes[:SHOWN], "more": max(0, len(plan.changes) - SHOWN)}
        return self.shown(request, "admin/import_preview.html", _("Import CSV"), form=hidden, **context)
