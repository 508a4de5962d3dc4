"""The events, in a list that keeps to what every list of the console keeps to."""

from django.contrib import admin

from audit.admin import EventAdmin as StockEventAdmin
from audit.models import Event

from .base import ConsoleAdmin

admin.site.unregister(Event)


@admin.register(Event)
class EventAdmin(ConsoleAdmin, StockEventAdmin):
    change_form_template = StockEventAdmin.change_form_template
    narrowed_by = ("target_type", "target_id", "subject_id")
