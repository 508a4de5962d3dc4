"""The web application of the demo, with its database made first.

Loaded by `gunicorn --preload`, which opens the port only afterwards: whoever gets an answer finds the people there.
The database is made in a process of its own, while this one loads the pages; both stand on what was loaded before.
"""

import multiprocessing
import os

import django
from django.conf import settings
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pim_site.settings")
django.setup()
making = multiprocessing.get_context("fork").Process(target=call_command, args=("demo",))
making.start()

from pim_site.wsgi import application  # noqa: E402 (meanwhile)

settings.DEBUG = False  # from here on: what is not there, or goes wrong, looks as it does on a real site

making.join()
if making.exitcode:
    raise SystemExit("The database of the demo could not be made.")

__all__ = ["application"]
