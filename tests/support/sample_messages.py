"""Messages of which it is known who writes them: the codec, the standard library some fields of, or all."""

import email
import email.policy
from collections.abc import Callable
from email import _header_value_parser as parser
from email.header import Header
from email.headerregistry import Address, HeaderRegistry, UniqueUnstructuredHeader
from email.message import EmailMessage, Message, MIMEPart
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any


def modern(*fields: tuple[str, Any], body: str | None = "Hello\n.dot\n") -> EmailMessage:
    message = EmailMessage()
    for name, value in fields:
        message[name] = value
    if body is not None:
        message.set_content(body)
    return message


def old(*fields: tuple[str, Any], body: Any = "Hello\n.dot\n") -> Message:
    message = Message()
    for name, value in fields:
        message[name] = value
    message.set_payload(body)
    return message


def named(message: Message, name: str, value: Any) -> Message:
    """Put a field in under a name that an assignment refuses from Python 3.14 on."""
    message.set_raw(name, value)  # type: ignore[attr-defined]
    return message


def parsed(source: str) -> EmailMessage:
    return email.message_from_string(source, policy=email.policy.default)


def old_parsed(source: str) -> Message:
    return email.message_from_string(source)


def multipart(subtype: str = "mixed", **parameters: str) -> EmailMessage:
    message = EmailMessage()
    message["Content-Type"] = "; ".join(
        [f"multipart/{subtype}", *(f'{name}="{value}"' for name, value in parameters.items())]
    )
    message.set_payload([modern(body="one\n"), modern(body="two é\n")])
    return message


def with_payload(payload: Any, content_type: str = "text/plain") -> EmailMessage:
    message = modern(("Content-Type", content_type), body=None)
    message.set_payload(payload)
    return message


def with_edges(message: Any) -> Any:
    message.preamble, message.epilogue = ".pre\nFrom here\r\n", "epi\r.\n"
    return message


WORDS = "word " * 30 + "end"
WIDE = "w" * 77
TO = ", ".join(f'"{name}, B." <{name}@example.com>, {name}@example.org' for name in "abcdef")

#: What the codec writes alone: builders of a message.
OURS: dict[str, Callable[[], Message]] = {
    "double blank": lambda: modern(("X", f"a  b {WORDS}")),
    "blank at the end": lambda: modern(("X", f"{WORDS} ")),
    "source with long blanks": lambda: parsed(f"X:  a  {WORDS}\n\n"),
    "source folded by a table": lambda: parsed(f"Received: from {WORDS} by\n        {WORDS}\n\t\tfor x\n\n"),
    "many blanks on the next line": lambda: parsed(f"X-{'n' * 40}: from        {WORDS[:60]}\n\n"),
    "blanks to the end of the line": lambda: parsed(f"X: {' ' * 20}a{' ' * 70}{WORDS}\n\n"),
    "nothing": EmailMessage,
    "nothing old": Message,
    "plain": lambda: modern(("From", "A <a@b>"), ("To", "c@d"), ("Subject", "s")),
    "no final newline": lambda: modern(("Subject", "s"), body="no end"),
    "eight bits": lambda: modern(("Subject", "s"), body="é\n\n"),
    "address objects": lambda: modern(("To", [Address("N.", "a b", "c.d"), Address("", "x", "y")])),
    "a part that is no message": lambda: part(MIMEPart()),
    "comments and quotes": lambda: modern(("From", '"x \\" y" (c) <a@b> (d)'), ("To", "g: a@b, c@d;, e@f")),
    "dotted name": lambda: modern((".Name", "x"), ("X", ". y")),
    "case of names": lambda: modern(("SUBJECT", "s"), ("content-TYPE", "text/html"), body=None),
    "all kinds": lambda: modern(
        ("Date", "Thu, 26 Nov 2026 09:00:00 +0000"),
        ("Message-ID", "<1@b>"),
        ("Sender", "a@b"),
        ("Bcc", "x@y"),
    ),
    "words": lambda: modern(("Subject", WORDS)),
    "words that fill lines": lambda: modern(("X", f"{'a' * 75} b {WIDE} {WIDE}\t{'c' * 70} {'d' * 8}")),
    "fits on a line of its own": lambda: modern(("X-Quite-Long-Name", WIDE[:70])),
    "addresses": lambda: modern(("To", TO)),
    "addresses on a line of their own": lambda: modern(("To", f"{'a' * 38}@{'b' * 36}")),
    "parameters": lambda: modern(
        ("Content-Type", f'application/pdf; charset="utf-8"; name="{WIDE[:60]}"; a="b"'), body=None
    ),
    "multipart": lambda: multipart(boundary="=1="),
    "generated boundary": multipart,
    "generated boundary that folds": lambda: multipart("alternative"),
    "with other parameters": lambda: multipart("related", type="text/html", start="<1@b>"),
    "edges": lambda: with_edges(multipart(boundary="b")),
    "within and without": lambda: nest(multipart(boundary="===x"), multipart("alternative")),
    "empty multipart": lambda: with_payload([], "multipart/mixed; boundary=b"),
    "signed": lambda: nest_signed(),
    "forwarded": lambda: with_payload([modern(("Subject", "s"))], "message/rfc822"),
    "status": lambda: with_payload([old(("A", "b"), body=""), old(("C", "d"))], "message/delivery-status"),
    "no status": lambda: with_payload([], "message/delivery-status"),
    "source": lambda: parsed("From: A <a@b>\nTo: c@d,\n e@f\nEmpty:\nX:  y\t\n\nbody\n"),
    "source with CRLF": lambda: parsed("X: a\r\n b\r\n\tc\r\nY: .\r\n\r\nbody\r\n"),
    "long source": lambda: parsed(
        f"X: {WORDS}\nDKIM-Signature: a; {'b' * 60};\n\tc; {WORDS}\nSubject: {WORDS}\n\n"
    ),
    "source of parts": lambda: parsed(
        "Content-Type: multipart/mixed;\n\tboundary=b\n\npre\n--b\n\nx\n--b--\nepi\n"
    ),
    "semicolon at the end": lambda: semicolon('multipart/mixed; boundary="b";'),
    "semicolon and blank at the end": lambda: semicolon('multipart/mixed; boundary="b"; '),
    "odd boundary": lambda: semicolon('multipart/mixed; boundary="=_? a#$%&*;<b>@x!"'),
    "old with a semicolon": lambda: old(
        ("Content-Type", 'multipart/mixed; charset="utf-8"; boundary="a b?c;";'), body=[old(("X", "y"))]
    ),
    "set_payload of its own": lambda: own_payload(),
    "old": lambda: old(("From", "A <a@b>"), ("X", "a\n b\r\n\tc"), ("bcc", "x@y"), ("Y", "(z)")),
    "old mangled": lambda: old(("X", "y"), body="From me\nand\r\nFrom you\rFrom him\r"),
    "old source": lambda: old_parsed(
        "X: a\n b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n"
    ),
    "old with generated boundary": lambda: old_multipart("mixed"),
    "old with generated boundary that folds": lambda: old_multipart("alternative"),
    "old text": lambda: MIMEText("é", "plain", "utf-8"),
    "old forward": lambda: MIMEMessage(old(("X", "y"))),
}


def nest(outer: EmailMessage, *inner: Any) -> EmailMessage:
    outer.set_payload([*inner, *outer.get_payload()])  # type: ignore[misc]
    return outer


def nest_signed() -> EmailMessage:
    signed = multipart("signed", boundary="s", protocol="application/pkcs7-signature")
    signed.set_payload([modern(("Subject", WORDS), ("X", "y"))])
    return nest(multipart(boundary="o"), signed)


def old_multipart(subtype: str) -> Message:
    message = MIMEMultipart(subtype)
    message.attach(MIMEText("a\n"))
    message.attach(MIMEText("b\n"))
    return with_edges(message)  # type: ignore[no-any-return]


def part(message: MIMEPart) -> MIMEPart:
    message["X"] = "y"
    message.set_content("z\n")
    return message


class Own(EmailMessage):
    """Overrides nothing that counts."""

    kept = 1


class OwnPayload(Message):
    """Has a way of its own to take its text, as the messages of Django have."""

    def set_payload(self, payload: Any, charset: Any = None) -> None:
        super().set_payload(payload, charset)
        self["X-Charset"] = str(charset)


def own_payload() -> Message:
    message = OwnPayload()
    message["Subject"] = "s"
    message.set_payload("text\n", "us-ascii")
    return message


def semicolon(content_type: str) -> EmailMessage:
    message = parsed(f"Content-Type: {content_type}\n\n")
    message.set_payload([modern(body="x\n")])
    return message


class Reading(EmailMessage):
    """Overrides what the generator reads."""

    def get_payload(self, i: int | None = None, decode: bool = False) -> Any:
        return "changed\n"


class FoldsItself(UniqueUnstructuredHeader):
    def fold(self, *, policy: Any) -> str:
        return f"X-Folded: by itself{policy.linesep}"


def deep(levels: int) -> Message:
    message: Message = modern(body="x\n")
    for _ in range(levels):
        message = with_payload([message], "message/rfc822")
    return message


registry = HeaderRegistry()
registry.map_to_type("x", FoldsItself)

#: What has to be folded by the standard library: builders, and how many fields.
FOLDED: dict[str, tuple[Callable[[], Message], int]] = {
    "what looks like an encoded word": (
        lambda: modern(("X", f'{WORDS} a"=?)]@;<?b?<]=c'), ("Y" * 20, f"{'y' * 60}=?")),
        2,
    ),
    "blanks longer than a line": (lambda: parsed(f"X: a{' ' * 90}b {WORDS}\n\n"), 1),
    "a blank before what fits on a line": (lambda: modern(("X" * 30, f" {WORDS[:60]}")), 1),
    "encoded in an address": (lambda: modern(("Subject", "=?utf-8?q?x?= é"), ("From", "é.é <a@b>")), 2),
    "another parse tree": (lambda: with_tree("To", parser.EncodedWord), 1),
    "decoded specials": (
        lambda: modern(("To", "=?utf-8?q?a=2Cb?= <x@y>"), ("From", "=?utf-8?q?a=2Eb?= <x@y>")),
        2,
    ),
    "encoded comment": (
        lambda: modern(("From", "Né (c) <a@b>"), ("To", '(é) "é" <a@b>'), ("Cc", "g: é <a@b>;")),
        3,
    ),
    "encoded name that fills a line": (
        lambda: modern(("From", f"{'é' * 40} <a@b>, c@d"), ("To", f"é <{WIDE}@b>")),
        2,
    ),
    "other white space": (lambda: modern(("X", "é \u3000 é")), 1),
    "long blank": (lambda: modern(("X", f"é {' ' * 90} é")), 1),
    "control character": (lambda: modern(("X", f"\x07{WORDS}")), 1),
    "empty": (lambda: modern(("X", ""), ("Date", "")), 2),
    "no date": (lambda: modern(("Date", "tomorrow")), 1),
    "long date": (lambda: modern(("X" * 60, "y"), ("Message-ID", f"<{WIDE}@b>")), 1),
    "long address": (lambda: modern(("To", f"{WIDE}@b.example, c@d")), 1),
    "a comma at the edge": (lambda: modern(("To", f"{'a' * 33}@{'b' * 40}, c@d, {'e' * 30}@f")), 1),
    "encoded before long": (lambda: modern(("To", f"=?utf-8?q?x?= <a@b>, {TO}")), 1),
    "encoded subject": (lambda: modern(("Subject", f"=?utf-8?q?x?= {WORDS}")), 1),
    "parameter with raw bytes": (lambda: modern(("Content-Type", 'a/b; name="\udcc3"'), body=None), 1),
    "parameter with quotes": (lambda: modern(("Content-Disposition", f'a; c="\\"{WIDE}"'), body=None), 1),
    "long type": (lambda: modern(("Content-Type", f'a/{WIDE}; b="c"'), body=None), 1),
    "name with a blank": (lambda: named(modern(), "X Y", registry("X Y", "z")), 1),
    "no name": (lambda: named(old(), "", "z"), 1),
    "its own fold": (lambda: modern(("X", registry("X", "y"))), 1),
    "class of its own": (lambda: modern(("X", FoldsOtherwise("X", "y"))), 1),
    "source in bytes": (lambda: parsed("X: \udcc3\nY: z\n\n"), 1),
    "source with CR": (lambda: parsed("X: a\n\n"), 0),
    "long structured source": (lambda: parsed(f"To: {TO}\nX: =?utf-8?q?x?= {WORDS}\n\n"), 2),
    "old words": (lambda: old(("X", WORDS), ("Y", "a \n b"), ("Z", "a\n \n b"), ("A", " b"), ("B", "c ")), 5),
    "old headers": (lambda: old(("X", Header("é", "utf-8")), ("Y", "é"), ("Z", ""), ("A", "b\r c")), 4),
    "old second line": (lambda: old(("X", f"a\n {WORDS}")), 1),
}

LONG_WORDS = "Grüße aus Köln, und viel Glück — 日本語のメールの件名はこのように長くなる „wie“ könnte es a  b"
#: What it writes where encoded words are folded as it knows it, and how many fields are left to the standard
#: library elsewhere.
ENCODED: dict[str, tuple[Callable[[], Message], int]] = {
    "encoded": (lambda: modern(("Subject", "é"), ("From", "Né <a@b>")), 2),
    "encoded words": (
        lambda: modern(("Subject", LONG_WORDS), ("X", LONG_WORDS[::-1]), ("Y", "\U0001f389a")),
        3,
    ),
    "encoded behind a long name": (lambda: modern((f"X-{'n' * 60}", LONG_WORDS)), 1),
    "encoded behind a dot": (lambda: modern((".X", LONG_WORDS)), 1),
    "encoded names": (
        lambda: modern(
            ("To", ", ".join(f"Zoë {n} Müller <{n}@example.com>, {n}@b, J. É <c@d>" for n in range(9)))
        ),
        1,
    ),
    "encoded names in quotes": (lambda: modern(("To", '"Müller, Zoë" <a@b>, "é \\" (x)" <c@d>, (c) e@f')), 1),
    "encoded names on a line of their own": (lambda: modern(("X-To", "y"), ("Cc", f"é <{'a' * 50}@b>")), 1),
    "long word": (lambda: modern(("X", f"a {WIDE}ww")), 1),
    "long words at the edge": (lambda: modern(("X", f"{WIDE}w {WIDE}")), 1),
    "long parameter": (lambda: modern(("Content-Type", f'a/b; name="{WIDE}"; x="y"'), body=None), 1),
    "encoded parameter": (
        lambda: modern(("Content-Disposition", 'a; filename="é.pdf"; size="1"'), body=None),
        1,
    ),
    "long encoded parameter": (lambda: modern(("Content-Disposition", f'a; b="{"é" * 90}"'), body=None), 1),
}


def with_tree(name: str, kind: Any) -> EmailMessage:
    message = modern((name, "a@b"))
    header: Any = message[name]
    header._parse_tree = kind(header._parse_tree)
    return message


class FoldsOtherwise(str):
    """A header value with a name, and of no class of the standard library."""

    def __new__(cls, name: str, value: str) -> "FoldsOtherwise":
        made = super().__new__(cls, value)
        made.name = name  # type: ignore[attr-defined]
        return made

    def fold(self, *, policy: Any) -> str:
        return f"{self.name}: {self}{policy.linesep}"  # type: ignore[attr-defined]


#: What is for the generator as a whole.
GENERATED: dict[str, Callable[[], Message]] = {
    "reads differently": lambda: part_of(Reading()),
    "deep": lambda: deep(60),
    "two content types": lambda: parsed("Content-Type: text/plain\nContent-Type: text/html\n\nx\n"),
    "comment in the type": lambda: modern(("Content-Type", "text/plain (x)"), body=None),
    "encoded type": lambda: parsed('Content-Type: multipart/mixed; boundary="=?utf-8?q?x?="\n\n--x\n\n--x--'),
    "repeated parameter": lambda: parsed(
        "Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--a\n\n--a--"
    ),
    "empty parameter": lambda: parsed('Content-Type: multipart/mixed; boundary=""\n\n--a\n\n--a--'),
    "blank at the end of the boundary": lambda: parsed(
        'Content-Type: multipart/mixed; boundary="a b "\n\n--a b\n\nx\n--a b--\n'
    ),
    "boundary in brackets": lambda: parsed(
        'Content-Type: multipart/mixed; boundary="<b>"\n\n--b\n\nx\n--b--\n'
    ),
    "semicolon and no boundary": lambda: semicolon("multipart/mixed;"),
    "other default type": lambda: defaulting(modern(body=None)),
    "list for text": lambda: with_payload([modern()], "text/plain"),
    "one part and no list": lambda: with_payload(modern(("X", "y")), "multipart/mixed; boundary=b"),
    "text for a list": lambda: with_payload("x\n", "multipart/mixed"),
    "two messages": lambda: with_payload([modern(), modern()], "message/rfc822"),
    "no message": lambda: with_payload(["x"], "multipart/mixed"),
    "text that is none": lambda: with_payload("é \ud800\n"),
    "text of its own class": lambda: with_payload(FoldsOtherwise("X", "y")),
    "looks like a boundary": lambda: nest(multipart(), modern(body="--===\n")),
    "looks like one within": lambda: nest(multipart(), modern(body="-\n --=\n--=é\n")),
    "bytes as preamble": lambda: with_edge_of_bytes(multipart(boundary="b")),
    "raw bytes in the transfer encoding": lambda: old(("Content-Transfer-Encoding", "8bit\udcff\x85")),
    "raw transfer encoding that says nothing": lambda: parsed("Content-Transfer-Encoding: \udcff\n\nx\n"),
    "header object as transfer encoding": lambda: old(("Content-Transfer-Encoding", Header("8bit"))),
    "header object as type": lambda: old(("Content-Type", Header("text/plain"))),
}


def part_of(message: EmailMessage) -> EmailMessage:
    message["X"] = "y"
    message.set_content("z\n")
    return message


def defaulting(message: EmailMessage) -> EmailMessage:
    message.set_default_type("message/rfc822")
    message.set_payload([modern(("X", "y"))])
    return message


def with_edge_of_bytes(message: EmailMessage) -> EmailMessage:
    message.preamble = b"x"  # type: ignore[assignment]
    return message
