"""How far each destination has come, and in words what keeps it."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.models import Head, Reader, stream_names

# What docs/siem.md says of each, in short.
CAUSES: dict[str, Promise] = {
    "timed_out": gettext_lazy("It does not answer in time, or does not close a connection that was ended."),
    "not_confirmed": gettext_lazy("It ended the connection without the closing message of TLS."),
    "missing_event": gettext_lazy("The next event is neither in the database nor in a signed archive."),
    "tls_failed": gettext_lazy("Its certificate is of another name, has run out, or is signed by nobody known here."),
    "name_unknown": gettext_lazy("Its name is not known."),
    "address_refused": gettext_lazy("Its address is private, and its network is not in PIM_OUTGOING_NETWORKS."),
    "malformed": gettext_lazy("Its address, or the next event, cannot be read."),
}


@dataclass(frozen=True)
class Standing:
    """A destination of the settings; `reader` is None until the worker has begun with it."""

    name: str
    reader: Reader | None
    behind: int

    @property
    def is_failing(self) -> bool:
        return self.reader is not None and self.reader.failing_since is not None


def standings() -> list[Standing]:
    """Return how far the destinations of the settings are, in their order; two statements."""
    readers, size = {row.name: row for row in Reader.objects.configured()}, Head.events()
    found = [(name, readers.get(name)) for name in stream_names()]
    return [Standing(name, reader, reader.behind(size) if reader else 0) for name, reader in found]


def cause_of(outcome: str) -> str:
    """Return what the code of a failed attempt means."""
    if status := outcome.removeprefix("http_") if outcome.startswith("http_") else "":
        return _("It answered %(status)s.") % {"status": status}
    if outcome.startswith("failed: "):
        text = _("It cannot be reached, or not be written to: %(cause)s.")
        return text % {"cause": outcome.removeprefix("failed: ")}
    return str(CAUSES.get(outcome, outcome))
