"""The sign-in sessions, in the database: each request reads one, so the question is made once."""

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils.timezone import now

from accounts.prepared import Prepared

_GOOD = Prepared(lambda key, at: Session.objects.filter(session_key=key, expire_date__gt=at))


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        session = _GOOD.first(Session, self.session_key or "", now())
        if session is None:
            self._session_key = None
        return session
