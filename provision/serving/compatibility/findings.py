"""Findings in the making: short ways to say fail and warn."""

from __future__ import annotations

from provision.finding import Finding


def fail(check: str, what: str, remedy: str) -> Finding:
    """Return what cannot work."""
    return Finding(check=check, verdict="fail", what=what, remedy=remedy)


def warn(check: str, what: str, remedy: str) -> Finding:
    """Return what works less well than it could, or what cannot be told."""
    return Finding(check=check, verdict="warn", what=what, remedy=remedy)


def fine(check: str, what: str) -> Finding:
    """Return what is worth knowing and needs nothing."""
    return Finding(check=check, verdict="ok", what=what)
