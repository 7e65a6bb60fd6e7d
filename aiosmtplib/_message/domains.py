"""Internationalized domains as A-labels (RFC 5891 section 4.4), for the envelope and for header fields."""

from __future__ import annotations

import re

__all__ = ("a_labels",)

_ASCII_DOMAIN = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?"


def a_labels(domain: str) -> str:
    """The ASCII form of a domain.

    The ``idna`` package is used where installed (IDNA 2008), else the standard library (IDNA 2003, RFC 3490).

    :raises UnicodeError: if it has none
    """
    if domain.isascii():
        return domain
    try:
        import idna
    except ImportError:
        labels = domain.encode("idna").decode("ascii")
    else:
        labels = idna.encode(domain, uts46=True).decode("ascii")
    # The codec of the standard library maps full-width forms, those of brackets too, to ASCII.
    if not re.fullmatch(_ASCII_DOMAIN, labels):
        raise UnicodeError(f"{labels!a} is no domain")
    return labels
