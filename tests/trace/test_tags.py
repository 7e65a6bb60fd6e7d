"""The tag of an envelope is in the events and the log records of its commands, and in those of no other."""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiosmtplib import SMTP, CommandEvent, Envelope, SMTPPool

from ..support.actions import at_nth, cut
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, client_for, email_message, options_for
from ..support.scripted_server import CHUNKING, PIPELINING, Peer

BY_DATA = ["MAIL", "RCPT", "DATA", "content"]
TO = RECIPIENTS[0]


async def pieces() -> AsyncIterator[bytes]:
    yield MESSAGE
    yield MESSAGE


def envelopes(content: Any = MESSAGE) -> list[Envelope]:
    """Four with tags, and one without."""
    makes = content if callable(content) else lambda: content
    return [Envelope(SENDER, TO, makes(), tag=f"tag {number}") for number in range(4)] + [
        Envelope(SENDER, TO, makes())
    ]


async def send(peer: Peer, kind: Any, messages: list[Any], **options: Any) -> list[CommandEvent]:
    events: list[CommandEvent] = []
    async with kind(**options_for(peer, on_command=events.append, **options)) as door:
        async for _ in door.send_many(messages):
            pass
    await peer.hung_up()
    return events


def by_tag(events: list[CommandEvent]) -> dict[Any, list[str]]:
    found = defaultdict(list)
    for event in events:
        found[event.tag].append(event.verb)
    return found


@pytest.mark.parametrize("kind", [SMTP, SMTPPool])
@pytest.mark.parametrize("content", [MESSAGE, email_message(TO), pieces], ids=["octets", "object", "stream"])
@pytest.mark.parametrize("extensions", [(), PIPELINING, CHUNKING])
async def test_each_command_has_that_of_its_message(
    extensions: tuple[str, ...], content: Any, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="aiosmtplib")
    async with Peer(extensions=extensions) as peer:
        events = await send(peer, kind, envelopes(content))
    found = by_tag(events)
    chunks = ["BDAT"] * (3 if content is pieces else 1)
    verbs = ["MAIL", "RCPT", *chunks] if extensions is CHUNKING else BY_DATA
    tags = [f"tag {number}" for number in range(4)]
    assert set(found) == {*tags, None}
    for tag in tags:  # RSET, as long as it is not known what became of the message before
        assert [verb for verb in found[tag] if verb != "RSET"] == verbs
    assert {"greeting", "EHLO", "QUIT"} < set(found[None])
    assert found[None].count("MAIL") == 1
    # Each command and each reply is a record of its own.
    records: list[Any] = [each for each in caplog.records if each.name.startswith("aiosmtplib")]
    tagged = [each.tag for each in records if each.tag is not None]
    assert {tag: tagged.count(tag) for tag in tags} == {tag: 2 * len(found[tag]) for tag in tags}


async def test_what_a_refusal_asks_for(caplog: pytest.LogCaptureFixture) -> None:
    """RSET goes in the group of the next message, whose tag it has."""
    async with Peer({"RCPT": at_nth(1, "550 5.1.1 No")}, extensions=PIPELINING, strict=True) as peer:
        found = by_tag(await send(peer, SMTP, envelopes()))
    assert found["tag 0"] == ["MAIL", "RCPT", "DATA"]
    assert found["tag 1"] == ["RSET", *BY_DATA]
    assert found["tag 2"] == BY_DATA


async def test_a_connection_that_is_lost() -> None:
    async with Peer({".": at_nth(2, cut)}, extensions=PIPELINING) as peer:
        events = await send(peer, SMTP, envelopes())
    assert [(event.verb, event.code) for event in events if event.tag == "tag 1"][-1] == ("content", None)
    assert [event.verb for event in events if event.tag == "tag 0"] == BY_DATA


async def test_a_stream_that_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield MESSAGE
        raise OSError("no more")

    caplog.set_level(logging.DEBUG, logger="aiosmtplib")
    for extensions in (PIPELINING, CHUNKING):
        async with Peer(extensions=extensions) as peer:
            found = by_tag(await send(peer, SMTP, [Envelope(SENDER, TO, broken(), tag="late")]))
        assert found["late"] == (["MAIL", "RCPT", "BDAT", "RSET"] if extensions is CHUNKING else BY_DATA)
    [record] = [record for record in caplog.records if "incomplete" in record.getMessage()]
    assert getattr(record, "tag", None) == "late"


async def test_recipients_in_several_transactions() -> None:
    async with Peer(extensions=[*PIPELINING, "LIMITS RCPTMAX=1"]) as peer:
        found = by_tag(await send(peer, SMTPPool, [Envelope(SENDER, RECIPIENTS, MESSAGE, tag=5)]))
    assert sorted(found[5]) == sorted(BY_DATA * 2)


async def test_what_goes_through_a_hook() -> None:
    for kind in (SMTP, SMTPPool):
        async with Peer(extensions=PIPELINING) as peer:
            found = by_tag(await send(peer, kind, envelopes(), before_send=lambda content: content))
        assert {tag: each for tag, each in found.items() if tag} == {f"tag {at}": BY_DATA for at in range(4)}


async def test_commands_between_messages_have_none() -> None:
    events: list[CommandEvent] = []
    async with Peer(extensions=PIPELINING) as peer, client_for(peer, on_command=events.append) as client:
        async for result in client.send_many([Envelope(SENDER, TO, MESSAGE, tag="mine")]):
            result.raise_for_status()
        await client.noop()
        async for result in client.send_many([email_message(TO)]):
            result.raise_for_status()
        assert client.protocol is not None
        client.protocol.write(b"NOOP\r\n")
        await client.protocol.read_response(10)
    assert by_tag(events)["mine"] == BY_DATA
    assert by_tag(events)[None] == ["greeting", "EHLO", "NOOP", *BY_DATA, "other", "other", "QUIT"]


async def test_the_record_of_a_hook_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: CommandEvent) -> None:
        raise RuntimeError(event.verb)

    async with Peer(extensions=PIPELINING) as peer, client_for(peer, on_command=broken) as client:
        async for result in client.send_many([Envelope(SENDER, TO, MESSAGE, tag="mine")]):
            result.raise_for_status()
    records: list[Any] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert [each.verb for each in records if each.tag == "mine"] == BY_DATA
