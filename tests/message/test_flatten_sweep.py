"""Values and bodies one by one: what chance would come upon late is gone through in order here."""

import email.policy
from collections.abc import Callable, Iterator
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest

from ..conftest import EXPECT_EXTENSIONS, NO_EXTENSIONS
from ..support import bodies, values
from ..support.differential import Flatten, twins, ways
from ..support.oracle import differences

#: How fields come into a message: as objects, as they were parsed, as text of old.
KINDS = ("object", "source", "legacy")
LENGTHS = (*range(74, 82), 154, 155, 156, 157)
UNITS = (*values.UNITS, "x", "w" * 77 + " ", "(c) ", '"q" ', "=?a ", "é ")
PIECES = (*values.ODD, *values.SPECIALS, *values.BLANKS, *values.CONTROLS, *values.RAW_BYTES, *values.FOREIGN)
NAMES = (
    "Subject",
    "X-Text",
    "To",
    "Message-ID",
    "Date",
    "Content-Type",
    "Content-Disposition",
    "MIME-Version",
)


@pytest.fixture(scope="module", name="each_way")
def _each_way() -> dict[str, tuple[Flatten, str]]:
    found = ways(twins(compiled=EXPECT_EXTENSIONS and not NO_EXTENSIONS))
    return {name: way for name, way in found.items() if name.endswith("plain")}


def add(message: Message, kind: str, name: str, value: str) -> None:
    try:
        if kind == "source":
            message.set_raw(name, value)  # type: ignore[attr-defined]
        else:
            message[name] = value
    except Exception:
        # Refused, or a defect of the parsers of header fields.
        return


def message_with(kind: str, fields: list[tuple[str, str]]) -> Callable[[], Message]:
    def build() -> Message:
        message: Message = Message() if kind == "legacy" else EmailMessage()
        for name, value in fields:
            add(message, kind, name, value)
        return message

    return build


def of_length(length: int, unit: str, end: str) -> str:
    return (unit * (length // len(unit) + 1))[: length - len(end)] + end


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", KINDS)
def test_lengths(kind: str, unit: str, each_way: Any) -> None:
    fields = [
        (f"X-{name}", of_length(length - len(f"X-{name}: "), unit, end))
        for length in LENGTHS
        for name in ("A", "Long-Name")
        for end in ("", " y")
    ]
    assert differences(message_with(kind, fields), each_way) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_pieces(kind: str, name: str, each_way: Any) -> None:
    for piece in PIECES:
        for value in (f"a {piece} b{piece}", f"{'word ' * 14}{piece} {piece}"):
            assert differences(message_with(kind, [(name, value)]), each_way) == []


def bodies_of_lines() -> Iterator[str]:
    for line in bodies.LINES:
        for end in dict.fromkeys(bodies.ENDS):
            yield f"{line}{end}{line}"


def multipart(kind: str, text: str, place: str, boundary: str | None) -> Callable[[], Message]:
    """With the text as the body of a part, as the preamble or the epilogue."""

    def build() -> Message:
        message: Any
        if kind == "legacy":
            message = MIMEMultipart("mixed", boundary)
            message.attach(MIMEText("first"))
        else:
            message = EmailMessage()
            message.make_mixed(boundary)
            message.add_attachment("first\n")
        part: Any = Message() if kind == "legacy" else EmailMessage(policy=email.policy.SMTP)
        part["Bcc"] = "kept@example.com"
        part.set_payload(text if place == "body" else "second\n")
        message.attach(part)
        if place != "body":
            setattr(message, place, text)
        return message

    return build


@pytest.mark.parametrize("place", ["body", "preamble", "epilogue"])
@pytest.mark.parametrize("kind", ["object", "legacy"])
def test_bodies(kind: str, place: str, each_way: Any) -> None:
    for number, text in enumerate(bodies_of_lines()):
        boundary = "=-=" if number % 2 else None
        assert differences(multipart(kind, text, place, boundary), each_way) == []
