"""The web process. It refuses to serve with a configuration that the checks refuse."""

import os

from django.core.wsgi import get_wsgi_application

from pim_site.codec import utf8_only

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pim_site.settings")
application = utf8_only(get_wsgi_application())

from pim_site.checks import refuse_unsafe_start  # noqa: E402 (needs the apps)

refuse_unsafe_start()
