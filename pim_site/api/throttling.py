"""So many requests in a minute: for a token, twice as many for its person whatever tokens they have, and four times
as many for an address, so that one program which runs wild stops neither its person's others nor its neighbours.
"""

from django.conf import settings
from django.utils.timezone import now
from rest_framework.request import Request

from accounts.factors import digest
from accounts.rules import network_of
from pim_site.addresses import client_address
from pim_site.answers import count_requests

from .authentication import token_of


class PerMinute:
    """Counts in the database, which all processes share; a minute after the last request nothing is left of it.

    A request counts before anybody knows whether it is let in.
    """

    seconds = 0.0

    def allow_request(self, request: Request) -> bool:
        limit, at = settings.API_REQUESTS_PER_MINUTE, now().timestamp()
        minute, self.seconds = int(at) // 60, 60 - at % 60
        limits = {digest(f"address {network_of(client_address(request._request))}"): 4 * limit}
        if token := token_of(request._request):
            limits[f"token {token.pk}"] = limit
        user = request._request.user
        if user.is_authenticated:
            limits[f"person {user.pk}"] = 2 * limit
        counts = count_requests(limits, minute=minute)
        return all(counts[key] <= most for key, most in limits.items())

    def wait(self) -> float:
        """Return how many seconds are left of this minute."""
        return self.seconds + 1
