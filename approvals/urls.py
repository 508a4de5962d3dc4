from django.urls import path

from assignments.models import ActiveAssignment, EligibleAssignment

from . import emergency_views, extension_views, history_views, several_views, views

app_name = "approvals"
urlpatterns = [
    path("activate/", several_views.eligible_activate_several, name="eligible-activate-several"),
    path("activate/<uuid:pk>/", views.eligible_activate, name="eligible-activate"),
    path("activate/<uuid:pk>/emergency/", emergency_views.eligible_emergency, name="eligible-emergency"),
    path("active/<uuid:pk>/calendar/", views.active_calendar, name="active-calendar"),
    path("active/<uuid:pk>/events/", history_views.active_events, name="active-events"),
    path("active/<uuid:pk>/end/", views.active_end, name="active-end"),
    path(
        "extend/eligible/<uuid:pk>/",
        extension_views.assignment_extend,
        {"model": EligibleAssignment},
        name="eligible-extend",
    ),
    path(
        "extend/active/<uuid:pk>/",
        extension_views.assignment_extend,
        {"model": ActiveAssignment},
        name="active-extend",
    ),
    path("favourites/<uuid:pk>/", several_views.favourite_change, name="favourite-change"),
    path("sets/", several_views.set_save, name="set-save"),
    path("sets/<uuid:pk>/", several_views.set_change, name="set-change"),
    path("sets/<uuid:pk>/remove/", several_views.set_remove, name="set-remove"),
    path("requests/<uuid:pk>/extend/", extension_views.extension_grant, name="extension-grant"),
    path("requests/<uuid:pk>/not-extend/", extension_views.extension_deny, name="extension-deny"),
    path("requests/", views.request_list, name="request-list"),
    path("requests/<uuid:pk>/", views.request_detail, name="request-detail"),
    path("requests/<uuid:pk>/approve/", views.request_approve, name="request-approve"),
    path("requests/<uuid:pk>/deny/", views.request_deny, name="request-deny"),
    path("requests/<uuid:pk>/cancel/", views.request_cancel, name="request-cancel"),
    path("requests/<uuid:pk>/claim/", views.request_claim, name="request-claim"),
    path("requests/<uuid:pk>/release/", views.request_release, name="request-release"),
    path("delegation/", views.delegation_list, name="delegation-list"),
    path("delegation/<int:pk>/end/", views.delegation_end, name="delegation-end"),
    path("approvals/", views.approval_list, name="approval-list"),
    path("history/", history_views.history, name="history"),
    path("history/year/", history_views.year, name="year"),
]
