from django.urls import path

from . import views

app_name = "reviews"

urlpatterns = [
    path("reviews/", views.review_list, name="review-list"),
    path("reviews/<uuid:pk>/", views.review_detail, name="review-detail"),
    path("reviews/<uuid:pk>/answer/", views.review_answer, name="review-answer"),
    path("reviews/<uuid:pk>/results/", views.review_results, name="review-results"),
    path("reviews/<uuid:pk>/results/csv/", views.review_file, {"kind": "csv"}, name="review-csv"),
    path("reviews/<uuid:pk>/results/evidence/", views.review_file, {"kind": "jsonl"}, name="review-evidence"),
    path("reviews/<uuid:pk>/remind/", views.review_remind, name="review-remind"),
    path("reviews/<uuid:pk>/retract/", views.review_retract, name="review-retract"),
]
