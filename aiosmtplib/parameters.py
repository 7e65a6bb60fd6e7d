"""Typed parameters of MAIL and RCPT, checked on construction, and recipients with parameters of their own.

>>> from aiosmtplib.parameters import Notify, Recipient, RequireTLS, Ret
>>> await client.send_message(
...     message,
...     recipients=[Recipient("you@example.com", Notify("success", "failure")), "them@example.com"],
...     mail_options=[Ret("hdrs"), RequireTLS()],
... )

They can be passed wherever parameters can be strings: those of MAIL in ``mail_options``, those of RCPT that
are for every recipient in ``rcpt_options``. Where a server does not announce the extension, or the connection
does not meet a condition, a parameter that is *required* raises :class:`SMTPNotSupported` before anything of
the message is sent; any other is left out. By default, those are required whose effect must not be lost.

A malformed value raises :class:`ValueError` on construction, one of the wrong type :class:`TypeError`. No
value can hold a second parameter or a command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from ._envelope.parameter import Parameter, as_text
from ._envelope.recipient import Recipient
from ._envelope.xtext import unitext, xtext
from ._message.addresses import parse_address
from .esmtp import parse_deliverby, parse_futurerelease

if TYPE_CHECKING:
    from datetime import datetime

__all__ = (
    "Body",
    "DeliverBy",
    "EnvId",
    "HoldFor",
    "HoldUntil",
    "MTPriority",
    "Notify",
    "Orcpt",
    "Parameter",
    "Recipient",
    "RequireTLS",
    "Ret",
    "SMTPUTF8",
)

# Where users import these from is what a pickle names, and stays when a file moves.
for _public in (Parameter, Recipient):
    _public.__module__ = __name__

#: RFC 3461 sections 4.2 and 4.4: how long the parameters may be, with their keywords.
_MAX_ORCPT = 500
_MAX_ENVID = 100

#: RFC 2852 section 4 and RFC 4865 section 4: nine digits.
_MAX_SECONDS = 999_999_999

#: RFC 6710 section 4.
_MAX_PRIORITY = 9


# -- delivery status notifications (RFC 3461) --------------------------------------------------------


class Ret(Parameter):
    """RET: how much of the message a failure notification returns (RFC 3461 section 4.3).

    :param what: ``"full"`` or ``"hdrs"``, upper or lower case
    """

    __slots__ = ("what",)
    keyword, extension = "RET", "dsn"
    what: str

    def __new__(cls, what: str, *, required: bool = False) -> Ret:
        what = _one_of(what, ("FULL", "HDRS"), cls.keyword)
        return cls.build(f"RET={what}", what=what, required=required)


class EnvId(Parameter):
    """ENVID: an identifier of the transaction, which notifications repeat (RFC 3461 section 4.4).

    :param identifier: printable ASCII, blanks included, at most 94 characters when encoded
    """

    __slots__ = ("identifier",)
    keyword, extension = "ENVID", "dsn"
    identifier: str

    def __new__(cls, identifier: str, *, required: bool = False) -> EnvId:
        text = f"ENVID={xtext(identifier, 'envelope identifier')}"
        if len(text) > _MAX_ENVID:
            raise ValueError(f"ENVID takes up to {_MAX_ENVID} characters (RFC 3461), not {len(text)}")
        return cls.build(text, identifier=str.__str__(identifier), required=required)


class Notify(Parameter):
    """NOTIFY: when to send a delivery status notification about a recipient (RFC 3461 section 4.1).

    :param conditions: ``"never"`` alone, or any of ``"success"``, ``"failure"`` and ``"delay"``, upper or
        lower case
    """

    __slots__ = ("conditions",)
    keyword, extension, verbs = "NOTIFY", "dsn", ("RCPT",)
    conditions: tuple[str, ...]

    def __new__(cls, *conditions: str, required: bool = False) -> Notify:
        names = tuple(
            _one_of(each, ("NEVER", "SUCCESS", "FAILURE", "DELAY"), "NOTIFY") for each in conditions
        )
        if not names:
            raise ValueError('NOTIFY needs a condition, such as "failure"')
        if len(set(names)) < len(names) or ("NEVER" in names and len(names) > 1):
            raise ValueError(f'NOTIFY takes "never" alone, or each condition once, not {", ".join(names)}')
        return cls.build(f"NOTIFY={','.join(names)}", conditions=names, required=required)


class Orcpt(Parameter):
    """ORCPT: the original recipient address, which notifications name (RFC 3461 section 4.2).

    The first sender of a message, which does not relay it, gives the address of the recipient itself.

    :param address: one address, with or without a display name. One that is not ASCII has the type ``utf-8``,
        and is sent as it is with SMTPUTF8, else in a 7-bit form (RFC 6533 section 3).
    :param address_type: the type of another address than that of Internet mail, such as ``"x400"``;
        ``address`` is not parsed then
    """

    __slots__ = ("address", "address_type")
    keyword, extension, verbs = "ORCPT", "dsn", ("RCPT",)
    address: str
    address_type: str

    def __new__(cls, address: str, address_type: str | None = None, *, required: bool = False) -> Orcpt:
        if address_type is None:
            address = parse_address(address)
            address_type = "rfc822" if address.isascii() else "utf-8"
        address, address_type = as_text(address, "original recipient"), as_text(address_type, "address type")
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*/?^_`{|}~-]+", address_type):
            raise ValueError(f"{address_type!a} is no address type (RFC 3461 section 4.2)")
        if address_type.lower() == "utf-8":
            encoded = unitext(address, "original recipient", ascii_only=True)
        else:
            encoded = xtext(address, "original recipient")
        text = f"ORCPT={address_type};{encoded}"
        if len(text) > _MAX_ORCPT:
            raise ValueError(f"ORCPT takes up to {_MAX_ORCPT} characters (RFC 3461), not {len(text)}")
        return cls.build(text, address=address, address_type=address_type, required=required)

    def as_sent(self, utf8: bool) -> str:
        if not utf8 or self.address.isascii():
            return str(self)
        encoded = unitext(self.address, "original recipient", ascii_only=False)
        return f"ORCPT={self.address_type};{encoded}"


# -- time, priority and TLS -------------------------------------------------------------------------


class RequireTLS(Parameter):
    """REQUIRETLS: each server on the route must use TLS and support this extension, or return the message.

    It needs a connection with TLS and a verified certificate (RFC 8689 section 2). On any other, it counts as
    not supported.
    """

    __slots__ = ()
    keyword = "REQUIRETLS"
    extension = "requiretls"

    def __new__(cls, *, required: bool = True) -> RequireTLS:
        return cls.build(cls.keyword, required=required)

    def obstacle(self, extensions: Mapping[str, str], verified: bool) -> str | None:
        if not verified:
            return "REQUIRETLS needs a connection with TLS and a verified certificate (RFC 8689 section 2)"
        return super().obstacle(extensions, verified)


class DeliverBy(Parameter):
    """BY: the time by which the message has to be delivered (RFC 2852 section 4).

    :param seconds: from now, -999,999,999 to 999,999,999; with ``"R"`` at least 1 and the minimum that the
        server announces
    :param mode: what the server does if it is not delivered in time: ``"R"`` returns the message, ``"N"``
        notifies the sender
    :param trace: whether to notify when the message is relayed to a server without this extension
    :param required: ``None`` means: required with ``"R"``, and not with ``"N"``
    """

    __slots__ = ("mode", "seconds", "trace")
    keyword, extension = "BY", "deliverby"
    seconds: int
    mode: str
    trace: bool

    def __new__(
        cls, seconds: int, mode: str = "R", *, trace: bool = False, required: bool | None = None
    ) -> DeliverBy:
        mode = _one_of(mode, ("R", "N"), "BY")
        least = 1 if mode == "R" else -_MAX_SECONDS
        text = f"BY={_number(seconds, 'seconds of BY', least, _MAX_SECONDS)};{mode}{'T' if trace else ''}"
        required = mode == "R" if required is None else required
        return cls.build(text, seconds=int(seconds), mode=mode, trace=bool(trace), required=required)

    def _out_of_bounds(self, extensions: Mapping[str, str]) -> str | None:
        least = parse_deliverby(extensions)
        if self.mode == "N" or least is None or self.seconds >= least:
            return None
        return f"BY asks for {self.seconds} seconds, and this server needs {least}"


class HoldFor(Parameter):
    """HOLDFOR: how long the server holds the message before it releases it (RFC 4865 section 5).

    :param seconds: from 1 to 999,999,999, and at most the maximum that the server announces
    """

    __slots__ = ("seconds",)
    keyword, extension = "HOLDFOR", "futurerelease"
    seconds: int

    def __new__(cls, seconds: int, *, required: bool = True) -> HoldFor:
        text = f"HOLDFOR={_number(seconds, 'seconds of HOLDFOR', 1, _MAX_SECONDS)}"
        return cls.build(text, seconds=int(seconds), required=required)

    def _out_of_bounds(self, extensions: Mapping[str, str]) -> str | None:
        most = parse_futurerelease(extensions)[0]
        if most is None or self.seconds <= most:
            return None
        return f"HOLDFOR asks for {self.seconds} seconds, and this server holds a message for up to {most}"


class HoldUntil(Parameter):
    """HOLDUNTIL: until when the server holds the message before it releases it (RFC 4865 section 5).

    :param moment: an aware :class:`~datetime.datetime`, at most the latest that the server announces; rounded
        up to full seconds
    """

    __slots__ = ("moment",)
    keyword, extension = "HOLDUNTIL", "futurerelease"
    moment: datetime

    def __new__(cls, moment: datetime, *, required: bool = True) -> HoldUntil:
        from datetime import datetime, timedelta, timezone

        if not isinstance(moment, datetime):
            raise TypeError(f"HOLDUNTIL takes a datetime, not {type(moment).__name__}")
        if moment.utcoffset() is None:
            raise ValueError("HOLDUNTIL takes a datetime with a time zone")
        try:
            utc = moment.astimezone(timezone.utc)
            if utc.microsecond:
                utc = utc.replace(microsecond=0) + timedelta(seconds=1)
        except OverflowError as error:
            raise ValueError(f"HOLDUNTIL takes the years 1 to 9999 in UTC: {moment} is beyond") from error
        text = f"HOLDUNTIL={utc.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
        return cls.build(text, moment=utc, required=required)

    def _out_of_bounds(self, extensions: Mapping[str, str]) -> str | None:
        latest = parse_futurerelease(extensions)[1]
        if latest is None or self.moment <= latest:
            return None
        return f"HOLDUNTIL asks for {self.moment}, and this server holds a message no later than {latest}"


class MTPriority(Parameter):
    """MT-PRIORITY: the priority of the message in the queues of servers (RFC 6710 section 4).

    :param priority: from -9 to 9; 0 is that of messages without this parameter
    """

    __slots__ = ("priority",)
    keyword = "MT-PRIORITY"
    extension = "mt-priority"
    priority: int

    def __new__(cls, priority: int, *, required: bool = False) -> MTPriority:
        text = f"{cls.keyword}={_number(priority, 'priority', -_MAX_PRIORITY, _MAX_PRIORITY)}"
        return cls.build(text, priority=int(priority), required=required)


# -- characters and content -------------------------------------------------------------------------


class SMTPUTF8(Parameter):
    """SMTPUTF8: addresses and header fields may hold any Unicode character (RFC 6531).

    With ``sendmail`` and other methods that take the bytes of a message, ``"if available"`` uses it where the
    server announces it. Elsewhere the domains of addresses are sent as A-labels, and
    :class:`SMTPNotSupported` is raised where that is not sufficient. With message objects, ``"if available"``
    uses it only if the message needs it, which is also the default without this parameter.

    :param use: ``"required"``, ``"if available"`` or ``"never"``
    """

    __slots__ = ("use",)
    keyword = "SMTPUTF8"
    extension = "smtputf8"
    verbs = ("MAIL", "VRFY", "EXPN")
    use: str

    def __new__(cls, use: Literal["required", "if available", "never"] = "required") -> SMTPUTF8:
        if as_text(use, "use of SMTPUTF8") not in ("required", "if available", "never"):
            raise ValueError(f'The use of SMTPUTF8 is "required", "if available" or "never", not {use!a}')
        return cls.build(cls.keyword, use=use, required=use == "required")

    def __repr__(self) -> str:
        return f"<{self}, {self.use}>"

    def obstacle(self, extensions: Mapping[str, str], verified: bool) -> str | None:
        return "SMTPUTF8 is not wanted" if self.use == "never" else super().obstacle(extensions, verified)


class Body(Parameter):
    """BODY: which octets the content may have (RFC 6152 section 3, RFC 3030 section 3).

    :param kind: ``"7bit"``, ``"8bitmime"`` or ``"binarymime"``, upper or lower case
    :param required: ``None`` means: required, unless ``"7bit"``, since the content is not converted.
        ``"binarymime"`` is always required.
    """

    __slots__ = ("kind",)
    keyword, extension = "BODY", "8bitmime"
    kind: str

    def __new__(cls, kind: str, *, required: bool | None = None) -> Body:
        kind = _one_of(kind, ("7BIT", "8BITMIME", "BINARYMIME"), "BODY")
        if kind == "BINARYMIME" and required is False:
            raise ValueError("BINARYMIME content cannot go without the parameter: leave out required=False")
        required = kind != "7BIT" if required is None else required
        return cls.build(f"BODY={kind}", kind=kind, required=required)

    def obstacle(self, extensions: Mapping[str, str], verified: bool) -> str | None:
        extension = "binarymime" if self.kind == "BINARYMIME" else "8bitmime"
        if extension in extensions:
            return None
        return f"{self} is not supported by this server: it does not announce {extension.upper()}"


def _one_of(value: str, known: tuple[str, ...], keyword: str) -> str:
    upper = as_text(value, f"value of {keyword}").upper()
    if upper not in known:
        raise ValueError(f"{keyword} takes {', '.join(known[:-1])} or {known[-1]}, not {value!a}")
    return upper


def _number(value: int, what: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"The {what} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"The {what} must be from {least} to {most}, not {int(value)}")
    return int(value)
