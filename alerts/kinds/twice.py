"""What rows and events say is read one after the other, and somebody may save between the two."""

from collections.abc import Iterator
from datetime import datetime
from functools import wraps
from itertools import islice
from typing import Any

from alerts.models import MOST
from alerts.registry import Finding, Scan


def found_twice(scan: Scan) -> Scan:
    """Let a scan that finds something look again, and tell of what it finds both times."""

    @wraps(scan)
    def look(at: datetime, **limits: Any) -> Iterator[Finding]:
        first = {finding.key for finding in islice(scan(at, **limits), MOST + 1)}
        if first:
            yield from (finding for finding in scan(at, **limits) if finding.key in first)

    return look
