"""The alerts that the product brings, by what they are about."""

from . import outside, owning, privileged, safety, using

__all__ = ["outside", "owning", "privileged", "safety", "using"]
