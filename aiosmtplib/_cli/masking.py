"""Masking of secrets and of control characters in all that the command line prints."""

from __future__ import annotations

import base64
import re

from .._trace.redaction import HIDDEN
from .._trace.transcript import ELLIPSIS

__all__ = ("Secrets", "one_line")

#: The shortest string, in characters, that is masked. Masking a shorter one would rather tell where it is.
MIN_MASKED = 4

#: The shortest part of a base64 string, in characters, that is masked wherever it is found.
MIN_BASE64 = 8

#: User name and password in a URL.
IN_URL = re.compile(r"(?<=://)[^\s@]*:[^\s]*(?=@)")


def one_line(text: str) -> str:
    """The text as one printable line: line ends become ``/``, other controls become escape sequences."""
    return _escaped(" / ".join(part.strip() for part in text.splitlines()))


def _escaped(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class Secrets:
    """The passwords and tokens that must not be printed, and the forms in which SASL sends them."""

    def __init__(self) -> None:
        self._forms: set[str] = set()

    def protect(self, value: str, username: str = "") -> None:
        """Mask a password or token from now on, also where it is quoted or encoded.

        :param username: the user name that SASL mechanisms encode together with it
        """
        octets = value.encode("utf-8", "surrogateescape")
        # An error message may quote what it complains about, and the log has no control characters.
        self._forms |= {value, repr(value)[1:-1], repr(octets)[2:-1], _escaped(value)}
        for form in (
            value,
            f"\0{username}\0{value}",  # PLAIN, RFC 4616 section 2
            f"{username}\0{username}\0{value}",
            f"user={username}\1auth=Bearer {value}\1\1",  # XOAUTH2
        ):
            self.add(base64.b64encode(form.encode("utf-8", "surrogateescape")).decode("ascii"))
        # The part of a base64 string that depends on the value alone, for each offset of the value in what is
        # encoded: OAUTHBEARER (RFC 7628 section 3.1) has the host name in it, and servers may quote a part.
        for offset in range(3):
            encoded = base64.b64encode(bytes(offset) + octets).decode("ascii")
            part = encoded[-(-offset * 8 // 6) : (offset + len(octets)) * 8 // 6]
            if len(part) >= MIN_BASE64:
                self.add(part)

    def add(self, form: str) -> None:
        """Mask one more string, unless it is shorter than :data:`MIN_MASKED`."""
        if len(form) >= MIN_MASKED:
            self._forms.add(form)

    def mask(self, text: str) -> str:
        """The text with each secret in it, and the beginning of a secret where the text was cut, replaced.

        So is what is before the host in a URL, where a password may be that has no business there.
        """
        text = IN_URL.sub(HIDDEN.decode(), text)
        # Longest first: one form may be part of another.
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, HIDDEN.decode())
        if text.endswith(ELLIPSIS):
            text = self._mask_end(text.removesuffix(ELLIPSIS)) + ELLIPSIS
        return text

    def _mask_end(self, text: str) -> str:
        longest = max((_overlap(text, form) for form in self._forms), default=0)
        return text[: len(text) - longest] + HIDDEN.decode() if longest >= MIN_MASKED else text


def _overlap(text: str, form: str) -> int:
    """How many characters at the end of a text are the beginning of a form, but not all of it."""
    # The algorithm of Knuth, Morris and Pratt: a form may repeat itself, and to compare each beginning would
    # be quadratic.
    shorter = [0] * len(form)
    matched = 0
    for at in range(1, len(form)):
        while matched and form[at] != form[matched]:
            matched = shorter[matched - 1]
        matched += form[at] == form[matched]
        shorter[at] = matched
    matched = 0
    for char in text[max(0, len(text) - len(form) + 1) :] if form else "":
        while matched and char != form[matched]:
            matched = shorter[matched - 1]
        matched += char == form[matched]
    return matched
