from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from . import health, views
from .metrics.views import metrics

handler500 = "pim_site.views.server_error"

urlpatterns = [
    path("api/v1/", include("pim_site.api.urls")),  # first: programs ask it before each of their own requests
    path("", views.home, name="home"),
    path("", include("accounts.urls")),
    path("", include("approvals.urls")),
    path("", include("reviews.urls")),
    path("no-console/", views.no_console, name="no-console"),
    path("console/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
]

if settings.DEMO:
    from .demo import calendar
    from .demo import views as demo

    urlpatterns += [
        path("demo/calendar/", calendar.change_calendar, name="demo-calendar"),
        path("demo/mail/", demo.mail_list, name="demo-mail"),
        path("demo/mail/<slug:name>/", demo.mail_detail, name="demo-mail-detail"),
    ]
