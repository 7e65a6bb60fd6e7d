"""Realistic mails: written as the standard library writes them, and hardly ever by it.

To the project's own come those that the standard library is tested with, where they are installed.
"""

import email
import email.policy
import sysconfig
from collections.abc import Callable
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Any

import pytest

from aiosmtplib._message import flatten as flattening

from .. import corpus
from ..conftest import EXPECT_EXTENSIONS, NO_EXTENSIONS
from ..support.differential import Flatten, twins, ways
from ..support.oracle import differences
from ..support.serializing import Tally, flatten_counted

REALISTIC = dict(corpus.realistic())
#: Distributions of Linux leave it out, or have it in a package of its own.
THEIRS = Path(sysconfig.get_path("stdlib"), "test", "test_email", "data")
FILES = sorted(path.name for path in THEIRS.glob("msg_*.txt")) if THEIRS.is_dir() else []
TWINS = twins(compiled=EXPECT_EXTENSIONS and not NO_EXTENSIONS)


@pytest.fixture(scope="module", name="each_way")
def _each_way() -> dict[str, tuple[Flatten, str]]:
    return ways(TWINS)


@pytest.mark.parametrize("name", REALISTIC)
def test_written_as_the_standard_library_writes_it(name: str, each_way: Any) -> None:
    assert differences(REALISTIC[name], each_way) == []


@pytest.mark.skipif(not FILES, reason=f"the tests of the standard library are not installed: no {THEIRS}")
@pytest.mark.parametrize("policy", [email.policy.compat32, email.policy.default], ids=["compat32", "default"])
@pytest.mark.parametrize("name", FILES or [""])
def test_what_the_standard_library_is_tested_with(name: str, policy: Any, each_way: Any) -> None:
    source = (THEIRS / name).read_bytes()

    def read() -> Message:
        return email.message_from_bytes(source, policy=policy)

    assert differences(read, each_way) == []


@pytest.mark.parametrize("twin", TWINS)
def test_hardly_anything_is_left_to_the_standard_library(twin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flattening, "serialize_message", TWINS[twin])
    tally = Tally()
    for build in REALISTIC.values():
        flatten_counted(build(), False, "8bit", tally)
    assert tally.messages == len(REALISTIC)
    assert tally.headers > 1500
    assert tally.generated <= 0.05 * tally.messages, f"{tally.generated} of {tally.messages} messages"
    assert tally.folded <= 0.05 * tally.headers, f"{tally.folded} of {tally.headers} header fields"


@pytest.mark.parametrize("twin", TWINS)
def test_what_is_counted(twin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flattening, "serialize_message", TWINS[twin])
    message = EmailMessage()
    message["Subject"] = "s"
    message["X"] = "=?utf-8?q?x?= é"  # an encoded word with which another one has to be joined
    message.set_content("text\n")
    message.add_attachment("more\n")
    tally = Tally()
    flatten_counted(message, False, "8bit", tally)
    assert (tally.messages, tally.generated, tally.headers, tally.folded) == (1, 0, 10, 1)
    message.set_boundary("=?")  # which reads as an encoded word
    message.get_payload()[0].set_type("multipart/mixed")
    flatten_counted(message, False, "8bit", tally)
    assert (tally.messages, tally.generated, tally.headers, tally.folded) == (2, 1, 10, 1)


def _content(part: Any) -> bytes:
    content: bytes = part.get_payload(decode=True) or b""
    return content.replace(b"\r\n", b"\n") if part.get_content_maintype() == "text" else content


@pytest.mark.parametrize("name", corpus.LETTERS)
def test_a_mail_reads_as_it_was_built(name: str) -> None:
    build: Callable[[], EmailMessage] = corpus.LETTERS[name]
    sent = build()
    read: Any = email.message_from_bytes(flattening.flatten(sent, False, "8bit"), policy=email.policy.default)
    assert [part.get_content_type() for part in read.walk()] == [
        part.get_content_type() for part in sent.walk()
    ]
    for before, after in zip(sent.walk(), read.walk(), strict=True):
        for field in ("Subject", "From", "To", "Cc", "Date", "Message-ID"):
            # One that is as long as a line starts on the next, behind a blank.
            assert str(after[field]).strip() == str(before[field]).strip()
        if not before.is_multipart():
            assert _content(after) == _content(before)
    assert "Bcc" not in read
    assert read.defects == []
