"""Changes that need two floors which may not know each other."""

from accounts.authority import require
from accounts.models import User
from audit.services import privileged, record
from notifications.models import Message
from notifications.services import send_again


@privileged("message.requeued", target="message")
def requeue_message(*, message: Message, actor: User) -> None:
    """Queue a message that was given up, with all its attempts, and leave a mark of it.

    Raises:
        NotAllowed. SendAgainRefused: ``not_failed``.
    """
    require(actor, "notifications.resend_message")
    send_again(message=message, actor=actor)
    record("message.requeued", actor=actor, target=message, after={"kind": message.kind, "to": message.to_address})
