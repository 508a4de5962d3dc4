"""The description of the API: as a document for programs, and as a page for people. And what is answered beside it."""

import json
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from .examples import METHODS
from .problems import not_allowed, problem_response
from .schema import document


@csrf_exempt
@login_not_required
def schema(request: HttpRequest) -> HttpResponse:
    """Anybody may read how the API looks; it says nothing of what is in it."""
    if request.method not in ("GET", "HEAD"):
        return not_allowed("GET", "HEAD")
    return JsonResponse(document(), content_type="application/vnd.oai.openapi+json")


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    tags: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document()["paths"].items():
        for method in METHODS:
            if operation := operations.get(method):
                tags.setdefault(operation["tags"][0], []).append(_shown(path, method, operation))
    return render(request, "api/reference.html", {"tags": tags, "schema_url": reverse("api:schema")})


def _shown(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    answers = {status: each for status, each in operation["responses"].items() if status.startswith("2")}
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "description": operation.get("description", ""),
        "parameters": operation.get("parameters", []),
        "body": _example(operation.get("requestBody", {})),
        "answers": [(status, each.get("description", ""), _example(each)) for status, each in answers.items()],
    }


def _example(part: dict[str, Any]) -> str:
    for content in part.get("content", {}).values():
        return json.dumps(content.get("example"), indent=2, ensure_ascii=False)
    return ""


@csrf_exempt
@login_not_required
def nothing(request: HttpRequest) -> HttpResponse:
    return problem_response(404, "not_found", _("There is nothing at this address."))
