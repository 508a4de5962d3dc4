"""The outbox, with a way to send again what was given up."""

from django import forms
from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from notifications.admin import MessageAdmin as OutboxAdmin
from notifications.models import Message
from pim_site.services import requeue_message

from .base import Act, ConsoleAdmin

admin.site.unregister(Message)


@admin.register(Message)
class MessageAdmin(ConsoleAdmin, OutboxAdmin):
    change_form_template = "admin/message.html"
    actions = ()  # type: ignore[assignment]  # the stock list has none
    acts = (
        Act(
            slug="send-again",
            label=gettext_lazy("Send again"),
            permissions=("notifications.resend_message",),
            offered=lambda message, at: message.state == Message.State.FAILED,
            says=lambda message: [
                _("The mail waits for the worker again, with all its attempts. It goes to %(address)s.")
                % {"address": message.to_address}
            ],
            does=lambda message, **facts: requeue_message(message=message, **facts),
            done=lambda message: _("The mail to %(address)s waits to be sent.") % {"address": message.to_address},
            form=forms.Form,
            bulk=True,
            hindered=lambda message: (
                [] if message.state == Message.State.FAILED else [_("Only a mail that has failed is sent again.")]
            ),
        ),
    )
