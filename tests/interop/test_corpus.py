"""Realistic mails through real servers, as ``EmailMessage`` objects: read back, they are what was sent.

By DATA and by BDAT to Postfix, and by DATA to aiosmtpd, which runs everywhere.
"""

import email
import email.policy
from email.message import EmailMessage, Message
from itertools import count
from typing import Any

import pytest

from .. import corpus
from ..support.oracle import written
from .aiosmtpd_server import Aiosmtpd
from .maildir import KEY, as_sent
from .postfix import Postfix
from .registry import Park
from .server import KEPT, SENDER

pytestmark = pytest.mark.interop

#: What servers take off, or stop at because it says that they have seen the message before.
TAKEN_OFF = ("Return-Path", "Delivered-To", "X-Original-To")
_numbers = count(1)


def with_key(message: Message) -> tuple[bytes, Message]:
    """The message with the field first by which it is found again."""
    key = b"corpus-%d" % next(_numbers)
    fields = list(message.raw_items())
    for name, _ in fields:
        del message[name]
    message.set_raw(KEY.decode(), key.decode())
    for name, value in fields:
        if name not in TAKEN_OFF:
            message.set_raw(name, value)
    return key, message


def content_of(octets: bytes) -> list[Any]:
    """What people see of it, with line ends of their own."""
    message = email.message_from_bytes(as_sent(octets, b"\n"), policy=email.policy.default)
    return [
        (part.get_content_type(), part.get_filename(), part.get_payload(decode=True))
        for part in message.walk()
    ]


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
@pytest.mark.parametrize("kind", [Postfix, Aiosmtpd], ids=lambda kind: kind.title)
async def test_arrives_as_it_was_built(park: Park, kind: Any, chunking: bool) -> None:
    if chunking and "CHUNKING" in kind.lacks:
        pytest.skip(kind.lacks["CHUNKING"])
    server = park.get(kind)
    maildir = park.maildir(server)
    sent = {}
    async with server.client(chunking=chunking) as client:
        for name, build in corpus.realistic():
            message = build()
            if isinstance(message, EmailMessage):
                corpus.with_boundaries(message)
            key, message = with_key(message)
            refused, _ = await client.send_message(message, sender=SENDER, recipients=[KEPT])
            assert refused == {}
            sent[key] = name, message
    arrived = await maildir.wait_for(sent)
    for key, (name, message) in sent.items():
        expected = written(message, False, "8bit")
        assert arrived[key] == as_sent(expected, server.newline), name
        assert content_of(arrived[key]) == content_of(expected), name
