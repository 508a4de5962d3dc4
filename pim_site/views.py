from typing import Any

from django.http import HttpRequest, HttpResponse


def home(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def no_console(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


