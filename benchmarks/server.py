"""The site, and beside it what the access check is measured against: a bare view with one SELECT.

It stands at two addresses: behind all that a page passes, and answered as directly as the check.
"""

import uuid

from django.contrib.auth.decorators import login_not_required
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse
from django.urls import path

application = get_wsgi_application()


@login_not_required
def floor(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM assignments_activeassignment WHERE user_id = %s LIMIT 1", [uuid.uuid4()])
        cursor.fetchall()
    return HttpResponse('{"active": false}', content_type="application/json")


from pim_site.middleware import DirectMiddleware  # noqa: E402 (after the applications are there)
from pim_site.urls import urlpatterns  # noqa: E402

urlpatterns[:0] = [path("floor", floor), path("direct-floor", floor)]
DirectMiddleware.PATHS |= {"/direct-floor"}
