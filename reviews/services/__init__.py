"""Every change to a series of access reviews and to a review. Nothing else writes these tables."""

from .answering import answer, reassign, retract
from .applying import apply_item, finish, request_application
from .defining import change, define, define_each, discontinue, facts_of, hasten, terms_of
from .running import advance, clear, remind, stop
from .starting import prepare, take_in

__all__ = [
    "advance",
    "answer",
    "apply_item",
    "change",
    "clear",
    "define",
    "define_each",
    "discontinue",
    "facts_of",
    "finish",
    "hasten",
    "prepare",
    "reassign",
    "remind",
    "request_application",
    "retract",
    "stop",
    "take_in",
    "terms_of",
]
