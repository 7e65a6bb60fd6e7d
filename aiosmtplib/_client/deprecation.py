"""Warnings about what programs of an older series pass."""

from __future__ import annotations

import sys
import warnings

__all__ = ("warn_deprecated",)


def warn_deprecated(message: str) -> None:
    """Warn whoever called into this package, through whichever of its doors."""
    level = 1
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("aiosmtplib."):
        frame = frame.f_back
        level += 1
    warnings.warn(message, DeprecationWarning, stacklevel=level)
