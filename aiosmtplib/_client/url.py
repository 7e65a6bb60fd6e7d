"""Options of a client, or of a pool, as a URL: for programs that are configured by one line.

The forms are ``scheme://user:password@host:port?option=value&…`` and, for a Unix domain socket,
``unix:///path?option=value&…`` (RFC 3986). An option is known by its name, and its value is of the type that
the option has.

A URL holds a password, and whoever mistypes one may have it anywhere. So no error text quotes the URL but for
the name of an option, and no error that leaves this module has a frame in which a part of it is to be seen:
what goes wrong inside is caught, and raised anew by a function that knows the text of the error alone.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from .._sasl.secret import conceal, reveal
from .hostnames import is_ipv6
from .options import OPTION_TYPES, Options
from .variant import LMTP_VARIANT, SMTP_VARIANT, Variant

__all__ = ("CLIENT_CLASSES", "FromURL", "concealed", "from_url", "revealed")

#: By the name of a protocol, the client that speaks it. The classes enter themselves: they import this.
CLIENT_CLASSES: Final[dict[str, type[Any]]] = {}

Types = Mapping[str, tuple[type, ...]]


class _Scheme(NamedTuple):
    """What the scheme of a URL says: the protocol, ``None`` for that of the class, and options."""

    variant: Variant | None
    options: dict[str, Any]


_SCHEMES: Final = {
    "smtp": _Scheme(SMTP_VARIANT, {}),
    "smtps": _Scheme(SMTP_VARIANT, {"use_tls": True}),
    "smtp+starttls": _Scheme(SMTP_VARIANT, {"start_tls": True}),
    "lmtp": _Scheme(LMTP_VARIANT, {}),
    "unix": _Scheme(None, {}),
}

_TRUTH: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}

#: The types whose values can be written in a URL.
_WRITABLE: Final = {bool, int, float, str, tuple, ssl.TLSVersion}

_ENCODE: Final = "in a user name, password or value, @ : / ? # % are written %40 %3A %2F %3F %23 %25"


class _Wrong(Exception):
    """The text of an error, on its way out of the frames that have seen the URL."""


class FromURL(NamedTuple):
    """What a URL says.

    :ivar client_class: the class that speaks the protocol of the URL
    :ivar options: the options, each concealed: see :func:`revealed`
    """

    client_class: type[Any]
    options: dict[str, Any]


def concealed(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with each value concealed: which of them are secret is not known here."""
    return {name: conceal(value) for name, value in options.items()}


def revealed(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with their values. Call it in an argument list, so that no variable holds the result."""
    return {name: reveal(value) for name, value in options.items()}


def from_url(
    url: Any, given: dict[str, Any], client_class: type[Options], types: Types = MappingProxyType({})
) -> FromURL:
    """The options of a URL and those that were given beside it, concealed.

    :param url: the URL, concealed
    :param given: the options beside it, concealed
    :param client_class: the class that is wanted
    :param types: the types of options besides those of a client
    :raises TypeError: if the URL is no ``str``
    :raises ValueError: if it is none that this module knows, an option in it is unknown, not of its type, or
        given twice, or the class does not speak the protocol
    """
    kind = type(reveal(url))
    if not issubclass(kind, str):
        raise TypeError(f"A URL is a str, not {kind.__name__}")
    try:
        variant, options = _parsed(reveal(url), {**OPTION_TYPES, **types})
    except _Wrong as wrong:
        text = str(wrong)
    else:
        for name in sorted(options.keys() & given.keys()):
            raise ValueError(f"The {name} option is given twice: by the URL, and beside it")
        return FromURL(_speaker(client_class, variant), {**options, **given})
    raise ValueError(text)  # here, where what went wrong is over: it would be the context of this error


def _speaker(client_class: type[Options], variant: Variant | None) -> type[Any]:
    """The class itself if it speaks the protocol, or a class derived from it that does."""
    if variant is None or client_class._variant == variant:
        return client_class
    other = CLIENT_CLASSES[variant.name]
    if not issubclass(other, client_class):
        raise ValueError(f"{client_class.__name__} does not speak {variant.name}, which the URL asks for")
    return other


def _parsed(url: str, types: Types) -> tuple[Variant | None, dict[str, Any]]:
    """The protocol and the options, concealed."""
    scheme, found, rest = url.partition("://")
    before_query, _, query = rest.partition("?")
    authority, slash, path = before_query.partition("/")
    user, at, place = authority.rpartition("@")
    if not found or scheme.lower() not in _SCHEMES:
        raise _Wrong(f"A URL begins with {', '.join(f'{each}://' for each in _SCHEMES)}")
    if not all(char.isprintable() and char != " " for char in url):
        raise _Wrong("The URL holds a blank or a control character: write %20 for a blank")
    if "#" in rest or "@" in user + path + query:
        # Or else half a password would be taken for a host, a path or the name of an option.
        raise _Wrong(f"The URL has an @ or # where it can have none: {_ENCODE}")
    variant, implied = _SCHEMES[scheme.lower()]
    pairs = [*_login(user if at else None), *((name, conceal(value)) for name, value in implied.items())]
    if scheme.lower() == "unix":
        if place or len(path) == 0:
            raise _Wrong("The URL of a Unix domain socket has three slashes: unix:///path")
        pairs.append(("socket_path", conceal(_decoded(slash + path))))
    else:
        if path:
            raise _Wrong("The URL has a path, which means nothing here")
        pairs.extend(_place(place))
    pairs.extend(_query(query, types))
    options = dict(pairs)
    for name, _ in pairs:
        if sum(name == other for other, _ in pairs) > 1:
            raise _Wrong(f"The {name} option is given twice by the URL")
    return variant, options


def _login(user: str | None) -> list[tuple[str, Any]]:
    if user is None:
        return []
    name, colon, password = user.partition(":")
    if not name or (colon and not password):
        raise _Wrong(f"The {'password' if name else 'user name'} in the URL is empty")
    pairs = [("username", conceal(_decoded(name)))]
    return [*pairs, ("password", conceal(_decoded(password)))] if colon else pairs


def _place(text: str) -> list[tuple[str, Any]]:
    """Host and port (RFC 3986 section 3.2.2)."""
    literal = re.fullmatch(r"\[([^\[\]]*)\](?::(.*))?", text)
    if literal:
        host, port = _decoded(literal[1]), literal[2] or ""
        valid = is_ipv6(host)
    else:
        host, _, port = text.partition(":")
        if ":" in port:
            raise _Wrong("An IPv6 address in a URL is in brackets: [::1]")
        host = _decoded(host)
        valid = _is_host(host)
    if not host:
        raise _Wrong("The URL names no host")
    if not valid:
        raise _Wrong("The URL names a host that is neither a name nor an address")
    pairs = [("hostname", conceal(host))]
    if port:
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
            raise _Wrong("The port in the URL is no number from 1 to 65535")
        pairs.append(("port", conceal(int(port))))
    return pairs


def _is_host(host: str) -> bool:
    if re.search(r"[\s\0-\x20/?#\[\]@:%\\<>\"]", host):
        return False
    try:
        host.removesuffix(".").encode("idna")  # as the resolver does, and ssl for the certificate
    except UnicodeError:
        return False
    return True


def _query(query: str, types: Types) -> list[tuple[str, Any]]:
    pairs = []
    for part in query.split("&") if query else ():
        name, equals, text = part.partition("=")
        of_name = types.get(name, ())
        if not _WRITABLE.intersection(of_name):
            # A name that no value follows may be the end of a password that has a question mark in it.
            plain = equals and re.fullmatch(r"\w+", name, re.ASCII)
            shown = repr(name) if plain else "A name in the URL"
            raise _Wrong(f"{shown} is no option that a URL can have")
        if not equals:
            raise _Wrong(f"The {name} option in the URL has no value")
        pairs.append((name, conceal(_typed(name, _decoded(text), of_name))))
    return pairs


def _typed(name: str, text: str, types: tuple[type, ...]) -> Any:
    """The value of an option as its type has it."""
    word = text.lower()
    number = re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", text)
    if bool in types and word in _TRUTH:
        return _TRUTH[word]
    if str in types:
        return text
    if type(None) in types and word == "none":
        return None
    if int in types and number and not number[1]:
        return int(text)
    if float in types and number:
        return float(text)
    if ssl.TLSVersion in types:
        for version in ssl.TLSVersion:
            if version.name.lower() == word.replace(".", "_"):
                return version
    if tuple in types:  # an address and a port
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if host and re.fullmatch(r"[0-9]{1,5}", port) and int(port) < 65536:
            return (host, int(port))
    raise _Wrong(f"The {name} option in the URL is to be {_expected(types)}")


def _expected(types: tuple[type, ...]) -> str:
    if ssl.TLSVersion in types:
        kind = "a version of TLS, such as TLSv1.2"
    elif tuple in types:
        kind = "an address and a port, such as 192.0.2.1:0"
    elif bool in types:
        kind = "true or false"
    else:
        kind = "a number" if float in types else "a whole number"
    return f"{kind}, or none" if type(None) in types else kind


def _decoded(text: str) -> str:
    """The text without percent-encoding (RFC 3986 section 2.1), in UTF-8."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise _Wrong(f"The URL has a % that two hexadecimal digits do not follow: {_ENCODE}")
    from urllib.parse import unquote_to_bytes  # slow to import

    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        decoded = "\0"
    if "\0" in decoded:
        raise _Wrong("What is percent-encoded in the URL is no text in UTF-8")
    return decoded
