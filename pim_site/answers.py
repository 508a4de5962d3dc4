"""What the API itself writes: how often somebody asked, and what was answered to a key."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.vault import opened, sealed
from pim_site.models import KeptAnswer, RequestCounter

from .api.problems import Refused

ANSWERS_ARE_KEPT = timedelta(hours=24)
# So long a request waits for its twin to be answered, before it is told to come back.
WAIT_SECONDS, LOOK_EVERY = 10.0, 0.05

_COUNT = """
    INSERT INTO {table} ("key", "minute", "count") VALUES {rows}
    ON CONFLICT ("key") DO UPDATE SET
        "count" = CASE WHEN {table}."minute" = excluded."minute" THEN {table}."count" + 1 ELSE 1 END,
        "minute" = excluded."minute"
    RETURNING "key", "count"
"""


def count_requests(keys: Iterable[str], *, minute: int) -> dict[str, int]:
    """Count one request for each of `keys`; return how many each has now had in this minute. One statement.

    In the order of the keys, so that two of these never wait for each other.
    """
    wanted = sorted(keys)
    rows = ", ".join(["(%s, %s, 1)"] * len(wanted))
    sql = _COUNT.format(table=connection.ops.quote_name(RequestCounter._meta.db_table), rows=rows)
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for key in wanted for value in (key, minute)])
        return dict(cursor.fetchall())


@dataclass(frozen=True)
class Answer:
    status: int
    media_type: str
    body: str
    etag: str

    @classmethod
    def of(cls, response: HttpResponse) -> "Answer":
        etag = response.headers.get("ETag", "")
        return cls(response.status_code, response.headers["Content-Type"], response.content.decode(), etag)

    def again(self, headers: dict[str, str]) -> HttpResponse:
        """Return it once more, with the `headers` of all answers at its address."""
        headers = headers | ({"ETag": self.etag} if self.etag else {})
        return HttpResponse(self.body, status=self.status, content_type=self.media_type, headers=headers)


def begin(*, user: User, key: str, fingerprint: str) -> KeptAnswer | Answer:
    """Take a key for a request that begins; or return what the same request was answered.

    While its twin is still running, this waits for it. The row is committed at once: it is what a twin finds.

    Raises:
        Refused: ``key_reused``: for another request; ``still_running``: the twin is, after ten seconds.
    """
    try:
        with transaction.atomic(durable=True):
            return KeptAnswer.objects.create(user=user, key=key, fingerprint=fingerprint, created_at=now())
    except IntegrityError:
        return _answer_of_twin(user, key, fingerprint)


def _answer_of_twin(user: User, key: str, fingerprint: str) -> Answer:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        kept = KeptAnswer.objects.filter(user=user, key=key).first()
        if kept is not None and kept.fingerprint != fingerprint:
            raise Refused(_("This Idempotency-Key belongs to another request. Take a new one."), "key_reused")
        if kept is not None and kept.status is not None:
            return Answer(kept.status, kept.media_type, opened(kept.encrypted_body).decode(), kept.etag)
        if kept is None or time.monotonic() > until:
            text = _("The request with this Idempotency-Key is still running. Send it again in a moment.")
            raise Refused(text, "still_running", status=409)
        time.sleep(LOOK_EVERY)


def keep(kept: KeptAnswer, answer: Answer) -> None:
    facts: dict[str, Any] = {"status": answer.status, "media_type": answer.media_type, "etag": answer.etag}
    KeptAnswer.objects.filter(pk=kept.pk).update(encrypted_body=sealed(answer.body.encode()), **facts)


def forget(kept: KeptAnswer) -> None:
    """Give the key back: the request failed, by our own fault or the token's, and what it did was undone."""
    KeptAnswer.objects.filter(pk=kept.pk).delete()


def forget_due() -> int:
    """Delete answers that nobody asks for any more, and counts of former minutes; return how many rows went."""
    at = now()
    old = (
        KeptAnswer.objects.filter(created_at__lt=at - ANSWERS_ARE_KEPT),
        RequestCounter.objects.filter(minute__lt=int(at.timestamp()) // 60 - 1),
    )
    return sum(rows.delete()[0] for rows in old)
