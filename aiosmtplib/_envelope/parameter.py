"""What the typed parameters of MAIL and RCPT have in common, and what is made of a list of parameters.

A typed parameter is the text that goes on the wire, and knows besides which extension it belongs to and
whether a message may go without it. Being a ``str``, it goes wherever a parameter went before there were
typed ones: into the doors, and into programs that override them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from ..errors import SMTPNotSupported
from .arguments import check_argument

Self = TypeVar("Self", bound="Text")

#: Parameters that exclude each other, besides each itself (RFC 4865 section 5).
_SAME = {"HOLDUNTIL": "HOLDFOR"}


class Text(str):
    """Text with attributes that cannot be changed. It equals the plain text, whatever they are."""

    __slots__ = ()

    @classmethod
    def _make(cls: type[Self], text: str, **attributes: Any) -> Self:
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
        return _restore, (type(self), str(self), {name: getattr(self, name) for name in slots})


def _restore(cls: type[Text], text: str, attributes: dict[str, Any]) -> Text:
    return cls._make(text, **attributes)


class Parameter(Text):
    """A parameter of MAIL or RCPT as a value, and as the text that goes on the wire.

    It cannot be changed. It equals its text, whether required or not.

    :ivar required: whether the message must not go without it. If so, and the server does not take it,
        :class:`SMTPNotSupported` is raised before anything of the message is sent; if not, it is left out.
    """

    __slots__ = ("required",)

    required: bool

    #: The keyword of the parameter (RFC 5321 section 4.1.2), and that of the extension in the reply to EHLO.
    keyword: ClassVar[str]
    extension: ClassVar[str]
    #: The commands that take it.
    verbs: ClassVar[tuple[str, ...]] = ("MAIL",)

    def __new__(cls, *args: object, **options: object) -> "Parameter":
        raise TypeError(f"{cls.__name__} is what the parameters have in common: make one of those")

    def __repr__(self) -> str:
        return f"<{self}, {'required' if self.required else 'if available'}>"

    def obstacle(self, extensions: Mapping[str, str], verified: bool) -> str | None:
        """Why a server does not take it, or ``None`` if it does.

        :param extensions: what the server announces, as :attr:`SMTP.esmtp_extensions`
        :param verified: whether the connection uses TLS, with a certificate that was verified
        """
        if self.extension in extensions:
            return self._out_of_bounds(extensions)
        extension = self.extension.upper()
        belongs = "" if extension == self.keyword else f": it does not announce {extension}"
        return f"{self.keyword} is not supported by this server{belongs}"

    def _out_of_bounds(self, extensions: Mapping[str, str]) -> str | None:
        """Which limit that the server announces it goes beyond."""
        return None

    def as_sent(self, utf8: bool) -> str:
        """The text for the wire.

        :param utf8: whether the message goes with SMTPUTF8
        """
        return str(self)


def option_list(options: Iterable[str] | None, verb: str = "MAIL") -> list[str]:
    """The parameters of a command, checked.

    :param verb: the command
    :raises TypeError: if they are one ``str``, or one of them is none
    :raises ValueError: if one could inject something, is given twice, or is none of this command. (What is
        twice there as plain text is the caller's own affair.)
    """
    return checked(options, verb)[0]


def checked(options: Iterable[str] | None, verb: str) -> tuple[list[str], bool]:
    """The same, and whether one of them is typed, so that it depends on the server."""
    if options is None:
        return [], False
    if isinstance(options, str):
        raise TypeError('Options are a list of str, such as ["BODY=8BITMIME"], not one str')
    options = list(options)
    typed = []
    for option in options:
        check_argument(option, "option")
        if type(option) is not str and isinstance(option, Parameter):
            typed.append(option)
            if verb not in option.verbs:
                raise ValueError(f"{option.keyword} is a parameter of {option.verbs[0]}, not of {verb}")
    if typed:
        check_once(options, set(map(keyword_of, typed)))
    return options, bool(typed)


def keyword_of(option: str) -> str:
    """The keyword of a parameter; one for those that exclude each other."""
    keyword = option.upper().partition("=")[0]
    return _SAME.get(keyword, keyword)


def check_once(options: Iterable[str], among: Iterable[str] | None = None) -> None:
    """Let pass only what has each parameter once (RFC 3461 section 4.5, for one).

    :param among: the keywords to look at; ``None`` for all
    :raises ValueError: if one is given twice
    """
    counted = Counter(map(keyword_of, options))
    for keyword in counted if among is None else among:
        if counted[keyword] > 1:
            raise ValueError(f"The parameter {keyword} is given more than once")


def available(options: Sequence[str], extensions: Mapping[str, str], verified: bool) -> list[str]:
    """The parameters that go to this server: all plain ones, and the typed ones that it takes.

    :param extensions: what the server announces
    :param verified: whether the connection uses TLS, with a certificate that was verified
    :raises SMTPNotSupported: if it does not take one that is required
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
    """The parameters as plain text for the wire.

    :param utf8: whether the message goes with SMTPUTF8
    """
    return [option.as_sent(utf8) if isinstance(option, Parameter) else option for option in options]


def as_text(value: str, what: str) -> str:
    """:raises TypeError: if ``value`` is none"""
    if not isinstance(value, str):
        raise TypeError(f"The {what} must be a str, not {type(value).__name__}")
    return str.__str__(value)  # whatever a class derived from it makes of str()
