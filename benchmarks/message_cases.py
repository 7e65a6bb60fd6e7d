"""What the benchmarks of messages measure: the messages that have figures to reach, and addresses."""

import email.utils
import importlib
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from typing import NamedTuple

from tests import corpus

__all__ = ("ADDRESSES", "ADDRESS_DOORS", "MESSAGES", "Case", "of_the_standard_library", "with_codec")


class Case(NamedTuple):
    """A message, and how many times faster than the standard library's generator it is to be, compiled."""

    build: Callable[[], EmailMessage]
    asked: float
    asked_pure: float = 2


_GERMAN = "Ihre Bestellung Nr. 4711 wurde für Zoë Müller versandt — vielen Dank für Ihren Einkauf bei uns"
_JAPANESE = "日本語のメールの件名はこのように長くなることがあります、そして続きます"


def _letter(subject: str, to: str = "bob@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ann Example <ann@example.com>"
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = "Thu, 26 Nov 2026 09:00:00 +0000"
    message["Message-ID"] = "<1@example.com>"
    message.set_content("Hello\n" * 300)
    return message


def _names(name: str, count: int) -> str:
    return ", ".join(f"{name} <name{number}@example.com>" for number in range(count))


def _with_file(message: EmailMessage) -> EmailMessage:
    message.add_attachment(b"x" * 2000, "application", "pdf", filename="Übersicht für Zoë.pdf")
    message.set_boundary("=_1")
    return message


MESSAGES: Mapping[str, Case] = {
    "plain 2 KiB": Case(corpus.LETTERS["plain 2 KiB"], 8),
    "plain 100 KiB": Case(corpus.LETTERS["plain 100 KiB"], 15),
    "text, HTML and 30 KB": Case(corpus.LETTERS["text, HTML and 30 KB"], 10),
    "newsletter": Case(corpus.LETTERS["newsletter"], 5),
    "short subject, Grüße": Case(lambda: _letter("Grüße"), 15),
    "long subject, German": Case(lambda: _letter(_GERMAN), 10),
    "long subject, Japanese": Case(lambda: _letter(_JAPANESE), 10),
    "1 name, Zoë": Case(lambda: _letter("Hello", _names("Zoë Müller", 1)), 15),
    "5 names, Zoë": Case(lambda: _letter("Hello", _names("Zoë Müller", 5)), 25, 10),
    "50 names, Zoë": Case(lambda: _letter("Hello", _names("Zoë Müller", 50)), 25, 10),
    "50 names, Ann": Case(lambda: _letter("Hello", _names("Ann Example", 50)), 10),
    "file name, Übersicht": Case(lambda: _with_file(_letter("Hello")), 10),
}
ADDRESSES = {"bare": "someone@example.com", "named": "Some One <someone@example.com>"}
ADDRESS_DOORS = ("parse_address", "quote_address")


class of_the_standard_library:
    """Stands where a module does: addresses by :mod:`email.utils`, as smtplib has them parsed."""

    @staticmethod
    def parse_address(address: str) -> str:
        return email.utils.parseaddr(address)[1] or address.strip()

    @staticmethod
    def quote_address(address: str) -> str:
        return f"<{of_the_standard_library.parse_address(address)}>"


def with_codec(name: str) -> Callable[[], None]:
    """Let the package read and write messages by the twin of this name, ``"compiled"`` or ``"pure"``.

    :return: what undoes it
    """
    names = ("_codec.pure", "_codec.pure.serializer") if name == "pure" else ("_speedups",)
    twins = [importlib.import_module(f"aiosmtplib.{name}") for name in names]
    before = []
    users = [importlib.import_module(f"aiosmtplib.{name}") for name in ("_message.flatten", "email")]
    for user in users:
        for attribute in importlib.import_module("aiosmtplib._codec").__all__:
            found = [getattr(twin, attribute) for twin in twins if hasattr(twin, attribute)]
            if hasattr(user, attribute):
                before.append((user, attribute, getattr(user, attribute)))
                setattr(user, attribute, found[0])

    def undo() -> None:
        for user, attribute, value in before:
            setattr(user, attribute, value)

    return undo
