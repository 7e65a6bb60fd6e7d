"""The dialogues outside of a mail transaction, driven by hand: what is said, and in which order."""

import pytest

from aiosmtplib._session import dialogues
from aiosmtplib.response import SMTPResponse

from ..support.dialogues import play


def reply(code: int) -> SMTPResponse:
    return SMTPResponse(code, f"text of {code}")


def test_greeting_writes_nothing() -> None:
    assert play(dialogues.greeting(), [[220]]) == ([b""], reply(220))


def test_command() -> None:
    assert play(dialogues.command(b"NOOP\r\n"), [[500]]) == ([b"NOOP\r\n"], reply(500))


@pytest.mark.parametrize(
    ("answers", "written", "result"),
    [
        ([250], [b"EHLO me\r\n"], (reply(250), None)),
        ([500, 250], [b"EHLO me\r\n", b"HELO me\r\n"], (reply(500), reply(250))),
        ([550, 550], [b"EHLO me\r\n", b"HELO me\r\n"], (reply(550), reply(550))),
        ([421], [b"EHLO me\r\n"], (reply(421), None)),
    ],
)
def test_hello(answers: list[int], written: list[bytes], result: object) -> None:
    assert play(dialogues.hello(b"me"), [[answer] for answer in answers]) == (written, result)


def test_lmtp_has_nothing_to_fall_back_on() -> None:
    assert play(dialogues.hello(b"me", b"LHLO"), [[500]]) == ([b"LHLO me\r\n"], (reply(500), None))
