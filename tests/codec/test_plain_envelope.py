"""Envelopes of plain addresses, and messages prepared with them, by both twins."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._codec import pure
from aiosmtplib._envelope.commands import EnvelopeCommands, envelope_commands

SENDER, RECIPIENT = "a@example.com", "b@example.org"
FIELDS = ("sender", "recipients", "mail", "parameters", "rcpts", "utf8", "binary", "open")


def fields(envelope: Any) -> list[Any]:
    return [getattr(envelope, field) for field in FIELDS]


@pytest.mark.parametrize("recipients", [RECIPIENT, [RECIPIENT], (RECIPIENT, "c.d@x"), [RECIPIENT] * 3])
def test_it_is_what_is_written_with_parameters(codec: ModuleType, recipients: Any) -> None:
    assert fields(codec.plain_envelope(SENDER, recipients)) == fields(
        EnvelopeCommands(SENDER, recipients, (), ())
    )


class Text(str):
    pass


class Texts(list[str]):
    pass


@pytest.mark.parametrize(
    ("sender", "recipients"),
    [
        ("", RECIPIENT),
        ("Ann <a@example.com>", RECIPIENT),
        ("j\u00fcrgen@example.com", RECIPIENT),
        ("a@example.com>\r\nDATA", RECIPIENT),
        (Text(SENDER), RECIPIENT),
        (None, RECIPIENT),
        (SENDER, []),
        (SENDER, ()),
        (SENDER, ""),
        (SENDER, Text(RECIPIENT)),
        (SENDER, Texts([RECIPIENT])),
        (SENDER, [RECIPIENT, "Bob <b@example.com>"]),
        (SENDER, [RECIPIENT, None]),
        (SENDER, b"b@example.org"),
        (SENDER, None),
    ],
)
def test_what_is_not_plain_is_for_others(codec: ModuleType, sender: Any, recipients: Any) -> None:
    assert codec.plain_envelope(sender, recipients) is None


def test_recipients_that_can_be_read_once_are_not_touched(codec: ModuleType) -> None:
    once = iter([RECIPIENT])
    assert codec.plain_envelope(SENDER, once) is None
    assert list(once) == [RECIPIENT]


def test_the_list_of_the_caller_is_not_kept(codec: ModuleType) -> None:
    given = [RECIPIENT]
    envelope = codec.plain_envelope(SENDER, given)
    given.append("c@example.org")
    assert envelope.recipients == [RECIPIENT]


def test_with_parameters_it_is_not_plain() -> None:
    assert not isinstance(envelope_commands(SENDER, RECIPIENT, (), None), EnvelopeCommands)
    assert isinstance(envelope_commands(SENDER, RECIPIENT, ["RET=HDRS"], None), EnvelopeCommands)
    assert isinstance(envelope_commands(SENDER, RECIPIENT, None, ["NOTIFY=NEVER"]), EnvelopeCommands)


@pytest.mark.parametrize(
    ("size", "parameter"), [(-1, b""), (0, b" size=0"), (2**63 - 1, b" size=9223372036854775807")]
)
def test_the_size_is_the_first_parameter(codec: ModuleType, size: int, parameter: bytes) -> None:
    envelope = codec.plain_envelope(SENDER, [RECIPIENT])
    envelope.parameters = b" RET=HDRS"
    mail = envelope.prepare((b"con", b"tent"), size, True, False, True)
    assert mail.commands == b"MAIL FROM:<%b>%b RET=HDRS\r\nRCPT TO:<%b>\r\n" % (
        SENDER.encode(),
        parameter,
        RECIPIENT.encode(),
    )
    assert (mail.sender, mail.recipients, mail.content) == (SENDER, [RECIPIENT], (b"con", b"tent"))
    assert (mail.pipelined, mail.chunked, mail.per_recipient) == (True, False, True)
    assert (mail.aborted, mail.left_over) == (False, ())


def test_an_envelope_of_nothing(codec: ModuleType) -> None:
    envelope = codec.EncodedEnvelope()
    assert fields(envelope) == ["", (), b"", b"", b"", False, False, False]
    envelope.rcpts = None
    with pytest.raises(TypeError):
        envelope.prepare(b"", 1, True, False, False)


@given(sender=st.one_of(st.emails(), st.text(max_size=9)), recipients=st.lists(st.emails(), max_size=3))
def test_the_twins_agree(compiled: ModuleType, sender: str, recipients: list[str]) -> None:
    one, other = (twin.plain_envelope(sender, recipients) for twin in (pure, compiled))
    assert (one is None) == (other is None)
    if one is not None:
        assert fields(one) == fields(other) == fields(EnvelopeCommands(sender, recipients, (), ()))
