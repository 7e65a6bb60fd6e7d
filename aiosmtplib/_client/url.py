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
from .options import OPTION_TYPES, Options
from .url_parts import ENCODE, WrongURL, decoded, login_in, place_in
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
    except WrongURL as wrong:
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
        raise WrongURL(f"A URL begins with {', '.join(f'{each}://' for each in _SCHEMES)}")
    if not all(char.isprintable() and char != " " for char in url):
        raise WrongURL("The URL holds a blank or a control character: write %20 for a blank")
    if "#" in rest or "@" in user + path + query:
        # Or else half a password would be taken for a host, a path or the name of an option.
        raise WrongURL(f"The URL has an @ or # where it can have none: {ENCODE}")
    variant, implied = _SCHEMES[scheme.lower()]
    pairs = [*login_in(user if at else None), *((name, conceal(value)) for name, value in implied.items())]
    if scheme.lower() == "unix":
        if place or len(path) == 0:
            raise WrongURL("The URL of a Unix domain socket has three slashes: unix:///path")
        pairs.append(("socket_path", conceal(decoded(slash + path))))
    else:
        if path:
            raise WrongURL("The URL has a path, which means nothing here")
        pairs.extend(place_in(place))
    pairs.extend(_query(query, types))
    options = dict(pairs)
    for name, _ in pairs:
        if sum(name == other for other, _ in pairs) > 1:
            raise WrongURL(f"The {name} option is given twice by the URL")
    return variant, options


def _query(query: str, types: Types) -> list[tuple[str, Any]]:
    pairs = []
    for part in query.split("&") if query else ():
        name, equals, text = part.partition("=")
        of_name = types.get(name, ())
        if not _WRITABLE.intersection(of_name):
            # A name that no value follows may be the end of a password that has a question mark in it.
            plain = equals and re.fullmatch(r"\w+", name, re.ASCII)
            shown = repr(name) if plain else "A name in the URL"
            raise WrongURL(f"{shown} is no option that a URL can have")
        if not equals:
            raise WrongURL(f"The {name} option in the URL has no value")
        pairs.append((name, conceal(_typed(name, decoded(text), of_name))))
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
    raise WrongURL(f"The {name} option in the URL is to be {_expected(types)}")


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
