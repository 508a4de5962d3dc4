"""The reviewer's pages: what one is asked about, worst first, and what one answers."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.authority import may
from accounts.models import User
from accounts.sessions import SignedInRequest

from . import services
from .context import shown
from .forms import AnswerForm, ItemsForm
from .models import Instance, Item
from .progress import Progress, progress, progress_by_reviewer, progress_in, progress_of
from .results import counts_of, csv_lines, evidence_lines, results_of

PAGE = 50
RESULTS = 20
FILES = {"csv": ("text/csv; charset=utf-8", csv_lines), "jsonl": ("application/jsonl", evidence_lines)}


@require_safe
def review_list(request: SignedInRequest) -> HttpResponse:
    """The reviews in which the person is asked, those that are open first."""
    at, user = now(), request.user
    asked = Instance.objects.asking(user).described()
    open_ones = list(asked.open(at).order_by("stage_ends_at"))
    past = asked.exclude(pk__in=[each.pk for each in open_ones]).order_by("-began_at")
    page = Paginator(past, PAGE).get_page(request.GET.get("page"))
    far = progress_in(open_ones, user)
    rows = [(each, far[each.pk]) for each in open_ones if each.pk in far]
    readable = Instance.objects.open_to(user, at).described().order_by("-began_at")
    results = Paginator(readable, RESULTS).get_page(request.GET.get("results"))
    return render(request, "reviews/review_list.html", {"rows": rows, "page_obj": page, "results": results})


@require_safe
def review_detail(request: SignedInRequest, pk: UUID) -> HttpResponse:
    """What the person is asked in a review; once it is over, what they were asked and what came of it."""
    at, user = now(), request.user
    review = _review(request, pk)
    is_open = review.is_open(at)
    items = review.items.asked_of(user) if is_open else review.items.ever_asked_of(user)
    left = is_open and request.GET.get("show") != "all"
    wanted = items.unanswered() if left else items.with_own(user)
    page = Paginator(wanted.worst_first().described(), PAGE).get_page(request.GET.get("page"))
    rows = list(page)
    context = {
        "review": review,
        "is_open": is_open,
        "left_only": left,
        "page_obj": page,
        "rows": shown(review, rows, at),
        "progress": progress_of(review, user),
        "several": sum(not item.is_privileged for item in rows) > 1,
    }
    return render(request, "reviews/review_detail.html", context)


def _review(request: SignedInRequest, pk: UUID) -> Instance:
    return get_object_or_404(Instance.objects.asking(request.user).described(), pk=pk)


@require_POST
def review_answer(request: SignedInRequest, pk: UUID) -> HttpResponse:
    def answer(review: Instance, **facts: Any) -> list[Item]:
        return services.answer(instance=review, actor=request.user, **facts)

    form = AnswerForm(request.POST)
    return _done(request, _review(request, pk), form, answer, lambda items: _answered_words(items, form))


@require_POST
def review_retract(request: SignedInRequest, pk: UUID) -> HttpResponse:
    def retract(review: Instance, **facts: Any) -> list[Item]:
        return services.retract(instance=review, actor=request.user, **facts)

    return _done(request, _review(request, pk), ItemsForm(request.POST), retract, _retracted_words)


def _done(
    request: SignedInRequest,
    review: Instance,
    form: ItemsForm,
    act: Callable[..., list[Item]],
    words: Callable[[list[Item]], str],
) -> HttpResponse:
    """Do it, say what became of it, and go back to the page and the place from where it came."""
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect(_back(request, review))
    try:
        items = act(review, **form.cleaned_data)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(request, words(items))
    return redirect(_back(request, review))


def _back(request: SignedInRequest, review: Instance) -> str:
    """Return the address of the same part of the list; nothing of the form goes into it as it is."""
    url = reverse("reviews:review-detail", args=[review.pk])
    page, every = request.POST.get("page", ""), "show=all" if request.POST.get("show") == "all" else ""
    query = "&".join(filter(None, [every, f"page={page}" if page.isascii() and page.isdigit() else ""]))
    return f"{url}?{query}" if query else url


def _answered_words(items: list[Item], form: AnswerForm) -> str:
    """Say what was said; which answer counts may be another, where somebody does not know."""
    said = Item.Verdict(form.cleaned_data["verdict"]).label
    if len(items) == 1:
        return _("%(item)s: %(answer)s.") % {"item": items[0], "answer": said}
    text = ngettext("%(count)d access answered: %(answer)s.", "%(count)d accesses answered: %(answer)s.", len(items))
    return text % {"count": len(items), "answer": said}


def _retracted_words(items: list[Item]) -> str:
    if len(items) == 1:
        return _("%(item)s: your answer is taken back.") % {"item": items[0]}
    return ngettext("%(count)d answer is taken back.", "%(count)d answers are taken back.", len(items)) % {
        "count": len(items)
    }


# --- results, for those who run a review or are told of its end -----------------------------------------------


@require_safe
def review_results(request: SignedInRequest, pk: UUID) -> HttpResponse:
    """How far the reviewers are, and what came of each access."""
    at, user = now(), request.user
    review = _results(request, pk)
    is_open = review.is_open(at)
    page = Paginator(review.items.worst_first().described(), PAGE).get_page(request.GET.get("page"))
    context = {
        "review": review,
        "is_open": is_open,
        "progress": progress(review),
        "reviewers": _reviewers(review, request.GET.get("reviewers")) if is_open else None,
        "counts": [(outcome.label, number) for outcome, number in counts_of(review).items() if outcome],
        "results": [(result, result.label, number) for result, number in results_of(review).items()],
        "page_obj": page,
        "sees": may(user, "reviews.view_instance", at=review),
        "runs": may(user, "reviews.run_instance", at=review),
    }
    return render(request, "reviews/review_results.html", context)


def _reviewers(review: Instance, number: str | None) -> Page[tuple[User, Progress]]:
    return Paginator(progress_by_reviewer(review), RESULTS).get_page(number)


@require_safe
def review_file(request: SignedInRequest, pk: UUID, kind: str) -> HttpResponseBase:
    return file_of(_results(request, pk), kind)


@require_POST
def review_remind(request: SignedInRequest, pk: UUID) -> HttpResponse:
    review = _results(request, pk)
    try:
        told = services.remind(instance=review, actor=request.user)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        text = ngettext("%(count)d reviewer is reminded.", "%(count)d reviewers are reminded.", told)
        messages.success(request, text % {"count": told})
    return redirect("reviews:review-results", pk=review.pk)


def _results(request: SignedInRequest, pk: UUID) -> Instance:
    return get_object_or_404(Instance.objects.open_to(request.user, now()).described(), pk=pk)


def file_of(review: Instance, kind: str) -> HttpResponseBase:
    """Answer the results of a review as a file: ``csv``, or ``jsonl`` with the evidence."""
    media_type, lines = FILES[kind]
    headers = {"Content-Disposition": f'attachment; filename="review-{review.number}.{kind}"'}
    return StreamingHttpResponse(lines(review), content_type=media_type, headers=headers)
