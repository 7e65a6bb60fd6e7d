"""The base class of typed parameters of MAIL and RCPT, and functions on lists of parameters (RFC 5321).

A typed parameter is a ``str``, its text on the wire, with the extension that it belongs to and whether it is
required. As a ``str`` it can be passed wherever a parameter is text, also to programs that override methods.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from ..errors import SMTPNotSupported
from .arguments import check_argument

Self = TypeVar("Self", bound="Text")

#: Keywords that count as another, because only one of the two may be given (RFC 4865 section 5).
_SAME = {"HOLDUNTIL": "HOLDFOR"}


class Text(str):
    """A ``str`` with read-only attributes. It equals the plain text, whatever their values."""

    __slots__ = ()

    @classmethod
    def build(cls: type[Self], text: str, **attributes: Any) -> Self:
        """Text with these attributes, which are not checked.

        :param text: the ``str``
        :param attributes: the values of the attributes, by name
        """
        made = str.__new__(cls, text)
        for name, value in attributes.items():
            object.__setattr__(made, name, value)
        return made

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"A {type(self).__name__} cannot be changed: make another one")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __reduce__(self) -> tuple[Any, ...]:
        slots = [name for base in type(self).__mro__ for name in getattr(base, "__slots__", ())]
        attributes = {name: getattr(self, name) for name in slots}
        # By the method of a public class: a function of this module would have to stay where it is.
        return functools.partial(type(self).build, str(self), **attributes), ()


class Parameter(Text):
    """A parameter of MAIL or RCPT: a value that is also its text on the wire (base class).

    It cannot be changed. It equals its text, whether required or not.

    :param args: those of the subclass
    :param options: those of the subclass
    :ivar required: whether the message must not be sent without it. If so, and the server does not support
        it, :class:`SMTPNotSupported` is raised before anything of the message is sent. If not, the parameter
        is left out.
    """

    __slots__ = ("required",)

    required: bool

    #: The keyword of the parameter, upper case (RFC 5321 section 4.1.2).
    keyword: ClassVar[str]
    #: The keyword of the extension in the reply to EHLO, lower case.
    extension: ClassVar[str]
    #: The commands that it is defined for.
    verbs: ClassVar[tuple[str, ...]] = ("MAIL",)

    def __new__(cls, *args: object, **options: object) -> Parameter:
        raise TypeError(f"{cls.__name__} is an abstract base class: use one of its subclasses")

    def __repr__(self) -> str:
        return f"<{self}, {'required' if self.required else 'if available'}>"

    def obstacle(self, extensions: Mapping[str, str], verified: bool) -> str | None:
        """Why the parameter cannot be sent to a server, or ``None`` if it can.

        :param extensions: the extensions that the server announces, as :attr:`SMTP.esmtp_extensions`
        :param verified: whether the connection uses TLS, with a certificate that was verified
        """
        if self.extension in extensions:
            return self._out_of_bounds(extensions)
        extension = self.extension.upper()
        belongs = "" if extension == self.keyword else f": it does not announce {extension}"
        return f"{self.keyword} is not supported by this server{belongs}"

    def _out_of_bounds(self, extensions: Mapping[str, str]) -> str | None:
        """Which limit announced by the server the value exceeds, in words, or ``None``."""
        return None

    def as_sent(self, utf8: bool) -> str:
        """The text on the wire.

        :param utf8: whether the message is sent with SMTPUTF8
        """
        return str(self)


def option_list(options: Iterable[str] | None, verb: str = "MAIL") -> list[str]:
    """The parameters of a command as a list, checked.

    :param verb: the command
    :raises TypeError: if ``options`` is a ``str``, or an item is not one
    :raises ValueError: if one is empty, could inject a parameter or a command, or a typed one is given twice,
        also as text, or is not defined for the command. Duplicates among texts are not checked.
    """
    return checked(options, verb)[0]


def checked(options: Iterable[str] | None, verb: str) -> tuple[list[str], bool]:
    """:func:`option_list`, and whether one of the parameters is typed: that one depends on the server."""
    if options is None:
        return [], False
    if isinstance(options, str):
        raise TypeError('Options are a list of str, such as ["BODY=8BITMIME"], not one str')
    options = list(options)
    typed = []
    for option in options:
        check_argument(option, "option")
        if not option or " " in option:
            raise ValueError(
                f'An option is one parameter without blanks, such as "BODY=8BITMIME", not {option!r}'
            )
        if type(option) is not str and isinstance(option, Parameter):
            typed.append(option)
            if verb not in option.verbs:
                raise ValueError(f"{option.keyword} is a parameter of {option.verbs[0]}, not of {verb}")
    if typed:
        check_once(options, set(map(keyword_of, typed)))
    return options, bool(typed)


def keyword_of(option: str) -> str:
    """The keyword of a parameter, upper case; the same one for parameters that exclude each other."""
    keyword = option.upper().partition("=")[0]
    return _SAME.get(keyword, keyword)


def check_once(options: Iterable[str], among: Iterable[str] | None = None) -> None:
    """Check that no parameter is given twice (RFC 3461 section 4.5, for one).

    :param among: the keywords to check; ``None`` for all
    :raises ValueError: if one is given twice
    """
    counted = Counter(map(keyword_of, options))
    for keyword in counted if among is None else among:
        if counted[keyword] > 1:
            raise ValueError(f"The parameter {keyword} is given more than once")


def available(options: Sequence[str], extensions: Mapping[str, str], verified: bool) -> list[str]:
    """The parameters to send to a server: all plain ones, and the typed ones that it supports.

    :param extensions: the extensions that the server announces
    :param verified: whether the connection uses TLS, with a certificate that was verified
    :raises SMTPNotSupported: if one that is required is not supported
    """
    taken = []
    for option in options:
        obstacle = option.obstacle(extensions, verified) if isinstance(option, Parameter) else None
        if obstacle is None:
            taken.append(option)
        elif option.required:  # type: ignore[attr-defined]  # only a typed one has an obstacle
            raise SMTPNotSupported(obstacle)
    return taken


def sent(options: Iterable[str], utf8: bool) -> list[str]:
    """The parameters as plain texts, as on the wire.

    :param utf8: whether the message is sent with SMTPUTF8
    """
    return [option.as_sent(utf8) if isinstance(option, Parameter) else option for option in options]


def as_text(value: str, what: str) -> str:
    """The plain ``str`` of a value.

    :param what: the name of the value, for the error text
    :raises TypeError: if ``value`` is not a ``str``
    """
    if not isinstance(value, str):
        raise TypeError(f"The {what} must be a str, not {type(value).__name__}")
    return str.__str__(value)  # a subclass may override __str__
