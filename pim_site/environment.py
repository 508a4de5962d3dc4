"""The environment as the settings read it: what is wrong there is refused by its name, and in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping


@contextmanager
def named(name: str) -> Iterator[None]:
    """Say which name of the environment it is that cannot be read."""
    try:
        yield
    except (ImproperlyConfigured, OSError, ValueError) as wrong:
        raise ImproperlyConfigured(f"{name}: {wrong}. Mend it, or take it out; see docs/operations.md.") from wrong


class Values(FileAwareMapping):
    """Without the line's end that editors and `echo` leave in a file: no secret has one, and no client sends it."""

    def __getitem__(self, name: str) -> str:
        value: str = super().__getitem__(name)
        return value.rstrip("\r\n")


class Environment(environ.FileAwareEnv):
    ENVIRON = Values(cache=False)

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        with named(var):
            return super().get_value(var, *args, **kwargs)

    def email_url(self, var: str, *args: Any, **kwargs: Any) -> Any:
        with named(var):
            return super().email_url(var, *args, **kwargs)

    def read_file(self, name: str) -> None:
        """Take in the file of `KEY=value` lines that `name` gives, if it does; one that is not there is a fault."""
        if path := self.str(name, default=""):
            with named(name), Path(path).open(encoding="utf-8") as lines:
                self.read_env(lines)
