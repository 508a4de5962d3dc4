"""The PostgreSQL that benchmarks of services work on: it ends with the process that made it."""

import os


def ready():
    """Django in this process, with the settings and on the database that the environment names."""
    import django

    django.setup()


def make_database():
    """Start a server, name it in the environment, and make the tables."""
    os.environ["PIM_TEST_DATABASE"] = "postgres"
    from tests import environment

    environment.prepare()
    os.environ["PIM_QUEUE_LOG_LEVEL"] = "ERROR"
    ready()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
