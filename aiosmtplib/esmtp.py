"""A parser of the EHLO reply: extensions and their parameters (RFC 5321 section 4.1.1.1).

The text is untrusted. No function raises an error for it, and the work is linear in its length, which the
reply parser limits.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ("parse_esmtp_extensions",)

#: RFC 1870 section 4: the number has at most twenty digits.
_MAX_SIZE_DIGITS = 20

#: RFC 2852 section 3 and RFC 4865 section 4: the numbers have at most nine digits.
_MAX_SECONDS_DIGITS = 9

#: RFC 9422 section 4: the numbers have at most six digits.
_MAX_LIMIT_DIGITS = 6


class Limits(NamedTuple):
    """The limits that a server announces by LIMITS (RFC 9422 section 4). ``None``: it does not announce it.

    :ivar mailmax: the maximum number of MAIL commands in one session, refused ones included
    :ivar rcptmax: the maximum number of RCPT commands in one transaction
    :ivar rcptdomainmax: the maximum number of different recipient domains in one session
    """

    mailmax: int | None = None
    rcptmax: int | None = None
    rcptdomainmax: int | None = None


def parse_esmtp_extensions(message: str) -> tuple[dict[str, str], list[str]]:
    """Parse the lines after the first one of an EHLO reply.

    For a keyword that is repeated, the last line counts. ``AUTH=LOGIN``, which servers announced before RFC
    2554 was published, is read as ``AUTH LOGIN``.

    :param message: the text of the reply, its lines joined by ``"\\n"``
    :return: the parameters (possibly empty) by lower-case keyword, and the SASL mechanisms in lower case,
        in the server's order, each once
    """
    extensions: dict[str, str] = {}
    mechanisms: dict[str, None] = {}
    for line in message.split("\n")[1:]:
        keyword, _, parameters = line.strip().replace("\t", " ").partition(" ")
        if not keyword:
            continue
        keyword = keyword.lower()
        if keyword.startswith("auth="):
            parameters = f"{line.strip()[5:]}"
            keyword = "auth"
        extensions[keyword] = parameters = parameters.strip()
        if keyword == "auth":
            mechanisms.update(dict.fromkeys(parameters.lower().split()))
    return extensions, list(mechanisms)


def parse_size_limit(extensions: Mapping[str, str]) -> int | None:
    """The fixed maximum size of a message that the server announces (RFC 1870 section 4).

    :param extensions: as :func:`parse_esmtp_extensions` returns them
    :return: octets, or None where there is no fixed limit: SIZE is not announced, or without a number, or
        with 0 or an invalid number
    """
    announced = extensions.get("size")
    return _size_limit(announced) if announced else None


@functools.lru_cache(maxsize=16)
def _size_limit(announced: str) -> int | None:
    # Cached: needed for every message.
    return _number(announced.partition(" ")[0], _MAX_SIZE_DIGITS) or None


def _number(text: str, digits: int) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def parse_deliverby(extensions: Mapping[str, str]) -> int | None:
    """The minimum time of DELIVERBY that the server accepts (RFC 2852 section 3).

    :param extensions: as :func:`parse_esmtp_extensions` returns them
    :return: seconds, or None where it is not announced or invalid
    """
    return _number(extensions.get("deliverby", "").partition(" ")[0], _MAX_SECONDS_DIGITS)


def parse_futurerelease(extensions: Mapping[str, str]) -> tuple[int | None, datetime | None]:
    """The limits of FUTURERELEASE: how long, and until when, the server holds a message (RFC 4865 section 4).

    :param extensions: as :func:`parse_esmtp_extensions` returns them
    :return: the maximum interval in seconds, and the latest date and time, which is aware; each None where it
        is not announced or invalid
    """
    from datetime import datetime

    interval, _, latest = extensions.get("futurerelease", "").partition(" ")
    moment = None
    try:
        # Python 3.10 does not accept the Z.
        moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", latest.strip()))
    except ValueError:
        pass
    if moment is not None and moment.utcoffset() is None:
        moment = None
    return _number(interval, _MAX_SECONDS_DIGITS), moment


def parse_limits(extensions: Mapping[str, str]) -> Limits:
    """The limits that the server announces by LIMITS (RFC 9422).

    Unknown limits, and values that are not a number from 1 to 999999, are ignored. Of a limit that is
    repeated, the smallest value counts, which satisfies all.

    :param extensions: as :func:`parse_esmtp_extensions` returns them
    """
    found: dict[str, int] = {}
    for limit in extensions.get("limits", "").split():
        name, _, number = limit.lower().partition("=")
        if name in Limits._fields and number.isascii() and number.isdigit():
            # The grammar allows no leading zero, and so no 0 either.
            if len(number) <= _MAX_LIMIT_DIGITS and number[0] != "0":
                found[name] = min(int(number), found.get(name, int(number)))
    return Limits(**found)


def split_recipients(recipients: Sequence[str], rcptmax: int | None) -> list[Sequence[str]]:
    """Divide recipients over transactions, at most ``rcptmax`` in each, in order (RFC 9422 section 4.2).

    :param recipients: the forward-paths; not copied if one transaction takes all
    :param rcptmax: :attr:`Limits.rcptmax`
    :return: the recipients of each transaction
    """
    if rcptmax is None or len(recipients) <= rcptmax:
        return [recipients]
    return [recipients[start : start + rcptmax] for start in range(0, len(recipients), rcptmax)]
