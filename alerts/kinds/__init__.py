"""The alerts that the product brings, by what they are about."""

from . import approving, doubling, outside, owning, privileged, reviewing, safety, settings, using

__all__ = ["approving", "doubling", "outside", "owning", "privileged", "reviewing", "safety", "settings", "using"]
