"""The web application of the demo, with its database made first.

Loaded by `gunicorn --preload`, which opens the port only afterwards: whoever gets an answer finds the people there,
and one process loads the program instead of two.
"""

from django.core.management import call_command
from django.db import connections

from pim_site.wsgi import application

call_command("demo")
connections.close_all()  # the processes that answer are forked from this one and must not share its connection

__all__ = ["application"]
