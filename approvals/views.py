from typing import Any

from django.http import HttpRequest, HttpResponse


def eligible_activate(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def active_end(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def request_list(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def request_detail(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def request_approve(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def request_deny(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def request_cancel(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def approval_list(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def history(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


