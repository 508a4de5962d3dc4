from typing import Any

from django.http import HttpRequest, HttpResponse


def sign_in(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def sign_in_code(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def sign_out(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def enrol(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def security(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def app_add(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def app_remove(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def recovery_codes_renew(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


def password_change(request: HttpRequest, **kwargs: Any) -> HttpResponse: ...


