"""``complete_headers``: Date and Message-ID in what goes out, whatever a message is, however it is sent."""

import email
import email.policy
import io
import re
from collections.abc import AsyncIterator, Callable, Iterator
from email.message import EmailMessage, Message
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import LMTP, SMTP, Envelope, SMTPPool
from aiosmtplib._client.completion import HEADER_LIMIT, added_to_octets

from ..support.actions import at_nth
from ..support.clients import RECIPIENTS, SENDER, email_message, options_for
from ..support.scripted_server import CHUNKING, Peer

RAW = b"From: a@example.com\nSubject: hi\n\nDate: none\nMessage-ID: none\n"
FULL = b"date: Thu, 1 Jan 1970 00:00:00 +0000\nMESSAGE-ID : <x@y>\nSubject: hi\n\nhello\n"
ON: dict[str, Any] = {"complete_headers": True}


def fields_of(content: bytes) -> tuple[EmailMessage, str]:
    """A message that was received, and the domain of its one Message-ID; its one Date is a date."""
    parsed: Any = email.message_from_bytes(content, policy=email.policy.default)
    assert not parsed.defects
    [date], [identifier] = parsed.get_all("Date"), parsed.get_all("Message-ID")
    assert parsedate_to_datetime(date).tzinfo is not None
    assert identifier.startswith("<")
    return parsed, identifier.strip("<>").rpartition("@")[2]


def sizes_in(peer: Peer) -> list[int]:
    """The values of SIZE that were announced."""
    return [int(line.partition(b"size=")[2].split()[0]) for line in peer.commands if b" size=" in line]


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


class Pipe:
    """A file that can be read once."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, 7))


FORMS: dict[str, Callable[[bytes], Any]] = {
    "octets": bytes,
    "text": lambda content: content.decode("ascii"),
    "buffer": bytearray,
    "file": io.BytesIO,
    "pipe": Pipe,
    "pieces": lambda content: [content[:9], content[9:]],
    "thousands": lambda content: [content[at : at + 1000] for at in range(0, len(content), 1000)],
    "drops": lambda content: [content[at : at + 1] for at in range(len(content))],
    "asynchronous pieces": lambda content: pieces(content[:30], content[30:50], content[50:]),
}


async def send_one(options: dict[str, Any], sender: str, message: Any) -> None:
    if not hasattr(message, "get_all"):
        await aiosmtplib.send(message, sender, RECIPIENTS, **options)
    else:
        await aiosmtplib.send(message, sender, **options)


async def by_client(options: dict[str, Any], sender: str, message: Any) -> None:
    async with SMTP(**options) as client:
        if hasattr(message, "get_all"):
            await client.send_message(message, sender)
        else:
            await client.sendmail(sender, RECIPIENTS, message)


async def by_send_many(options: dict[str, Any], sender: str, message: Any) -> None:
    async with SMTP(**options) as client:
        async for result in client.send_many([Envelope(sender, RECIPIENTS, message)]):
            result.raise_for_status()


async def by_pool(options: dict[str, Any], sender: str, message: Any) -> None:
    async with SMTPPool(**options) as pool:
        await pool.send(message, sender, RECIPIENTS)


async def by_many_of_a_pool(options: dict[str, Any], sender: str, message: Any) -> None:
    async with SMTPPool(**options) as pool:
        async for result in pool.send_many([Envelope(sender, RECIPIENTS, message)]):
            result.raise_for_status()


DOORS = [send_one, by_send_many, by_pool, by_many_of_a_pool]


@pytest.mark.parametrize(
    ("form", "door"),
    [
        *((form, by_client) for form in FORMS),
        *((form, door) for form in ("octets", "file", "asynchronous pieces") for door in DOORS),
    ],
)
async def test_raw_messages(form: str, door: Any) -> None:
    async with Peer() as peer:
        await door(options_for(peer, **ON), "me@sender.example", FORMS[form](RAW))
        await door(options_for(peer, **ON), "me@sender.example", FORMS[form](FULL))
        await door(options_for(peer), "me@sender.example", FORMS[form](RAW))
    first, second, third = peer.accepted
    parsed, domain = fields_of(first.content)
    assert domain == "sender.example"
    assert parsed["Subject"] == "hi"
    assert first.content.endswith(RAW.replace(b"\n", b"\r\n"))
    assert second.content == FULL.replace(b"\n", b"\r\n")
    assert third.content == RAW.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("door", [*DOORS, by_client])
@pytest.mark.parametrize("extensions", [(), CHUNKING])
async def test_message_objects(door: Any, extensions: Any) -> None:
    message = email_message()
    before = message.items()
    whole = email_message()
    whole["Date"], whole["Message-ID"] = "Thu, 1 Jan 1970 00:00:00 +0000", "<x@y>"
    async with Peer(extensions=[*extensions, "SIZE 1000"], strict=True) as peer:
        await door(options_for(peer, **ON), "me@sender.example", message)
        await door(options_for(peer, **ON), "me@sender.example", whole)
    parsed, domain = fields_of(peer.accepted[0].content)
    assert domain == "sender.example"
    assert parsed["Subject"] == "greetings"
    assert message.items() == before
    assert peer.accepted[1].content.count(b"Date:") == 1
    assert sizes_in(peer) == [len(each.content) for each in peer.accepted]


@pytest.mark.parametrize("chunking", [False, True])
async def test_large_objects_and_their_size(chunking: bool) -> None:
    message = email_message(body="x" * 70 + "\n")
    message.add_attachment(bytes(500_000), maintype="application", subtype="octet-stream")
    peer = Peer(extensions=[*CHUNKING, "SIZE"], strict=True)
    async with peer, SMTP(**options_for(peer, **ON)) as client:
        client.chunking = chunking
        await client.send_message(message)
    fields_of(peer.accepted[0].content)
    assert sizes_in(peer) == [len(peer.accepted[0].content)]


async def test_sizes_of_files_count_what_was_added() -> None:
    told: list[tuple[int, int | None]] = []
    file = io.BytesIO(b"skipped" + RAW)
    file.seek(7)
    async with Peer(extensions=["SIZE"]) as peer, SMTP(**options_for(peer, **ON)) as client:
        await client.sendmail(SENDER, RECIPIENTS, file, progress=lambda *each: told.append(each))
    [accepted] = peer.accepted
    fields_of(accepted.content)
    assert b"skipped" not in accepted.content
    assert sizes_in(peer) == [len(accepted.content)]
    assert told[-1][0] == told[-1][1]


async def test_octets_with_progress() -> None:
    told: list[tuple[int, int | None]] = []
    async with Peer() as peer, SMTP(**options_for(peer, **ON)) as client:
        await client.sendmail(SENDER, RECIPIENTS, RAW, progress=lambda *each: told.append(each))
    fields_of(peer.accepted[0].content)
    assert told[-1][0] == told[-1][1]


async def test_by_lmtp_and_by_an_assigned_option() -> None:
    async with Peer(lmtp=True) as peer, LMTP(**options_for(peer)) as client:
        client.complete_headers = True
        await client.send_message(email_message())
    fields_of(peer.accepted[0].content)


async def test_a_class_with_a_sendmail_of_its_own() -> None:
    class Mine(SMTP):
        async def sendmail(self, *args: Any, **kwargs: Any) -> Any:
            return await super().sendmail(*args, **kwargs)

    async with Peer() as peer:
        async with Mine(**options_for(peer, **ON)) as client:
            await client.send_message(email_message())
        async with SMTPPool(**options_for(peer, **ON), client_class=Mine) as pool:
            await pool.send(email_message())
    for accepted in peer.accepted:
        fields_of(accepted.content)


@pytest.mark.parametrize("form", ["object", "octets", "file"])
@pytest.mark.parametrize("door", [by_pool, by_many_of_a_pool])
async def test_a_message_that_is_sent_again_is_the_same(form: str, door: Any) -> None:
    message = email_message() if form == "object" else FORMS[form](RAW)

    async def say_goodbye(conversation: Any) -> Any:
        reply = await conversation.perform("421 4.3.2 Closing")
        await conversation.drain()  # with the content, which did not wait for the reply
        return reply

    async with Peer({"MAIL": at_nth(1, say_goodbye)}, extensions=CHUNKING) as peer:
        await door(options_for(peer, **ON, chunking=True), SENDER, message)
        await peer.hung_up()
    identifiers = re.findall(rb"\r\nMessage-ID: (<.*>)\r\n", peer.received)
    assert len(identifiers) == (1 if form == "file" else 2)  # a stream waits for the reply to MAIL
    assert len(set(identifiers)) == 1
    fields_of(peer.accepted[0].content)


@pytest.mark.parametrize("form", ["object", "octets", "file"])
@pytest.mark.parametrize("door", [by_pool, by_many_of_a_pool])
async def test_a_message_of_several_transactions_is_one(form: str, door: Any) -> None:
    message = email_message() if form == "object" else FORMS[form](RAW)
    async with Peer(extensions=["LIMITS RCPTMAX=1"]) as peer:
        await door(options_for(peer, **ON), SENDER, message)
    first, second = peer.accepted
    fields_of(first.content)
    assert first.content == second.content


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        ("me@müller.example", "xn--mller-kva.example"),
        ("me@[192.0.2.1]", "[192.0.2.1]"),
        ("me", "localhost"),
        ("", "localhost"),
        ("not an <address", "localhost"),
        ("me@there> AUTH=<x", "localhost"),
    ],
)
def test_the_domain_is_that_of_the_sender(sender: str, domain: str) -> None:
    assert fields_of(added_to_octets(RAW, sender) + RAW)[1] == domain


async def test_the_null_sender_of_an_object_leaves_that_of_its_own() -> None:
    legacy = Message()
    legacy["From"] = "Me <me@origin.example>"
    legacy["Date"] = "Thu, 1 Jan 1970 00:00:00 +0000"
    legacy["Message-ID"] = "<x@y>"
    nobody = email_message()
    del nobody["From"]
    async with Peer() as peer, SMTP(**options_for(peer, **ON)) as client:
        await client.sendmail("", RECIPIENTS, RAW)
        await client.send_message(email_message(sender="me@origin.example"), "")
        await client.send_message(legacy, "", RECIPIENTS)
        await client.send_message(nobody, "")
    domains = [fields_of(each.content)[1] for each in peer.accepted]
    assert domains == ["localhost", "origin.example", "y", "localhost"]


@pytest.mark.parametrize(
    ("content", "between"),
    [
        (b"Hello", b"\r\n"),
        (b"\nHello", b""),
        (b"\r\n\r\nHello", b""),
        (b"", b""),
        (b"Subject: x", b""),
        (b"From me Thu Jan  1 00:00:00 1970\nSubject: x\n\nhi", b""),
        (b"Subject: x\rDATE: y\r\rMessage-ID: no", b""),
        (b"Subject: x\r\n Date: folded\r\n\r\nhi", b""),
        (b"Resent-Date: x\n\nhi", b""),
    ],
)
def test_where_the_header_is(content: bytes, between: bytes) -> None:
    added = added_to_octets(content, SENDER)
    assert added.endswith(b"@example.com>\r\n" + between)
    assert (b"Date: " in added) is (b"DATE" not in content)


@pytest.mark.parametrize("kind", ["file", "pipe", "thousands"])
async def test_a_header_without_an_end_is_looked_at_so_far(kind: str) -> None:
    content = b"X-Long: " + b"x" * 2 * HEADER_LIMIT + b"\nDate: too late\n\nhi\n"
    async with Peer() as peer, SMTP(**options_for(peer, **ON)) as client:
        await client.sendmail(SENDER, RECIPIENTS, FORMS[kind](content))
    header = peer.accepted[0].content.partition(b"\r\n\r\n")[0]
    assert header.startswith(b"Date: ")
    assert header.count(b"\r\nMessage-ID: ") == 1


async def test_streams_that_are_empty() -> None:
    def nothing() -> Iterator[bytes]:
        yield from ()

    async with Peer() as peer, SMTP(**options_for(peer, **ON)) as client:
        for message in (nothing(), pieces(), io.BytesIO(), Pipe(b"")):
            await client.sendmail(SENDER, RECIPIENTS, message)  # type: ignore[arg-type]
    for accepted in peer.accepted:
        fields_of(accepted.content)


async def test_what_is_no_message_fails_alone() -> None:
    async with Peer() as peer, SMTP(**options_for(peer, **ON)) as client:
        results = [result async for result in client.send_many([email_message(), 5, email_message()])]
    assert [type(result.error) for result in results] == [type(None), TypeError, type(None)]
    assert len(peer.accepted) == 2
