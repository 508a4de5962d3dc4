from django.urls import path

from . import views

app_name = "reviews"

urlpatterns = [
    path("reviews/", views.review_list, name="review-list"),
    path("reviews/<uuid:pk>/", views.review_detail, name="review-detail"),
    path("reviews/<uuid:pk>/answer/", views.review_answer, name="review-answer"),
    path("reviews/<uuid:pk>/retract/", views.review_retract, name="review-retract"),
]
