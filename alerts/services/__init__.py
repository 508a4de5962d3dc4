"""Every change to alerts and incidents. Nothing else writes these tables."""

from .configuring import configure, facts_of, sync
from .scanning import claim, scan
from .settling import dismiss, reopen, repair
from .telling import tell

__all__ = ["claim", "configure", "dismiss", "facts_of", "reopen", "repair", "scan", "sync", "tell"]
