"""Lengths of time in words, the same on every page, in every mail and in every refusal."""

from django.utils.translation import gettext as _

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def in_words(seconds: float, units: int = 3) -> str:
    """The largest ``units`` parts of a length, cut and not rounded; hours count up to 48, as the settings do."""
    total = int(seconds)
    days = total // DAY if total >= 2 * DAY else 0
    hours, rest = divmod(total - days * DAY, HOUR)
    minutes, left = divmod(rest, MINUTE)
    parts = [
        _("%(n)s d") % {"n": days} if days else "",
        _("%(n)s h") % {"n": hours} if hours else "",
        _("%(n)s min") % {"n": minutes} if minutes else "",
        _("%(n)s s") % {"n": left} if total < MINUTE else "",
    ]
    return " ".join([part for part in parts if part][:units])
