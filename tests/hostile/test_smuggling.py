"""Content with the end of a message in it, and behind that another message: exactly one message may arrive.

The attack (SMTP smuggling, 2023) lives off readers that disagree on what ends a line. So the wire is read by
several: a strict one, and every lenient one that is known of, which take LF, CR or CRCRLF for a line end.
All of them have to see the same single end. The same goes for BDAT, where the octets are counted, and for
each kind of content, each door, and each place at which content can be cut.

NUL is content. A server that drops it before it looks for the end reads something that nobody sent, and no
stuffing helps against that.
"""

import asyncio
import io
import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib.email import flatten_message

from ..support import vectors
from ..support.clients import RECIPIENTS, SENDER, assert_usable, options_for, session
from ..support.scripted_server import BINARYMIME, CHUNKING, PATIENCE, PIPELINING, Peer

PLAIN = ("8BITMIME",)
EDGES = {"CR": b"\r", "LF": b"\n", "CRLF": b"\r\n", "CRCRLF": b"\r\r\n", "LFCR": b"\n\r", "NUL": b"\0"}
ENDS = [before + b"." + after for before, after in itertools.product(EDGES.values(), repeat=2)]
HEAD = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: outer\r\n\r\nbody"
#: The same on both sides, for tests of something else than this.
SOME = ENDS[:: len(EDGES) + 1]
#: For who takes what is before for the end.
INNER = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: inner\r\n\r\nhi"
ATTACKS = [HEAD + end + INNER + end + b"QUIT\r\n" for end in ENDS]

#: What one or another server takes for the end of a line.
READERS = {
    "strict": rb"\r\n",
    "bare LF": rb"\r\n|\n",
    "bare CR": rb"\r\n|\r",
    "any": rb"\r\n|\r|\n",
    "many CR": rb"\r*\n",
    "LFCR": rb"\r\n|\n\r?|\r",
}


def canonical(sent: bytes) -> bytes:
    """What has to arrive: with CRLF, and an end to the last line."""
    lines = vectors.canonical(sent)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def assert_one_message(wire: bytes, sent: bytes) -> None:
    """Every reader sees one message on the wire, and it is what was sent, with CRLF."""
    assert vectors.receive(wire) == canonical(sent)
    for name, line_end in READERS.items():
        lines = re.split(line_end, wire)
        assert lines.index(b".") == len(lines) - 2, f"another end to a reader of {name}"
        assert lines[-1] == b""


# -- the encoder, by every sequence there is ---------------------------------------------------------


def test_every_sequence_cut_anywhere(codec: ModuleType) -> None:
    for length in range(6):
        for sequence in itertools.product(b"\r\n.\0", repeat=length):
            message = b"a" + bytes(sequence) + b"b"
            wire = codec.encode_data(message)
            assert_one_message(wire, message)
            for cut in range(1, length + 2):
                encoder = codec.DataEncoder()
                pieces = encoder.encode(message[:cut]), encoder.encode(message[cut:]), encoder.finish()
                assert b"".join(pieces) == wire


def test_the_readers_can_tell() -> None:
    """What the attacks look like where nothing is done about them."""
    missed = dict.fromkeys(READERS, 0)
    for attack in ATTACKS:
        for name, line_end in READERS.items():
            missed[name] += b"." in re.split(line_end, attack)
        with pytest.raises((AssertionError, ValueError)):
            assert_one_message(attack, attack)
    assert all(missed.values()), missed


# -- over a connection -------------------------------------------------------------------------------


class Short:
    """A file whose reads end where it wants, as those of a pipe do."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    def read(self, size: int) -> bytes:
        return next(self._pieces, b"")


async def slowly(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


WHOLE: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "str": lambda content: content.decode("ascii"),
    "bytearray": bytearray,
    "memoryview": memoryview,
    "file": io.BytesIO,
}
IN_PIECES: dict[str, Callable[[list[bytes]], Any]] = {
    "file": Short,
    "list": list,
    "iterator": iter,
    "bytearrays": lambda pieces: map(bytearray, pieces),
    "views": lambda pieces: map(memoryview, pieces),
    "async iterator": slowly,
}
WAYS = pytest.mark.parametrize(
    ("extensions", "chunking"),
    [(PLAIN, None), (PIPELINING, None), (CHUNKING, True), (BINARYMIME, True)],
    ids=["DATA", "pipelined", "BDAT", "BINARYMIME"],
)


def options_of(extensions: tuple[str, ...]) -> list[str]:
    return ["BODY=BINARYMIME"] if extensions is BINARYMIME else []


def assert_arrived(peer: Peer, sent: list[bytes], verbatim: bool = False) -> None:
    """These messages, and nothing else that could be one, or a command."""
    # RSET comes before a message that was put behind one of which nothing is known yet.
    commands = [verb for verb in peer.verbs if verb not in ("EHLO", "LHLO", "RSET", "QUIT")]
    one = ["MAIL", "RCPT", "RCPT"]
    assert [verb for verb in commands if verb not in ("DATA", "BDAT")] == one * len(sent)
    assert b"evil@example.com" not in b"".join(peer.commands)
    assert len(peer.accepted) == len(sent)
    for accepted, message in zip(peer.accepted, sent, strict=True):
        assert accepted.sender == SENDER.encode()
        assert [who.decode() for who in accepted.recipients] == RECIPIENTS
        assert accepted.content == (message if verbatim else canonical(message))
    if "DATA" in commands:
        bodies = [body for conversation in peer.conversations for body in conversation.bodies]
        for body, message in zip(bodies, sent, strict=True):
            assert_one_message(body, message)


@WAYS
@pytest.mark.parametrize("kind", WHOLE)
async def test_in_one_piece(kind: str, extensions: tuple[str, ...], chunking: bool | None) -> None:
    async with (
        Peer(extensions=extensions, strict=True) as peer,
        session(peer, chunking=chunking, start_tls=False) as client,
    ):
        for attack in ATTACKS:
            await client.sendmail(SENDER, RECIPIENTS, WHOLE[kind](attack), options_of(extensions))
        assert_arrived(peer, ATTACKS, verbatim=extensions is BINARYMIME)
        await assert_usable(client, peer)


@WAYS
@pytest.mark.parametrize("kind", IN_PIECES)
async def test_cut_at_every_place(kind: str, extensions: tuple[str, ...], chunking: bool | None) -> None:
    async with (
        Peer(extensions=extensions, strict=True) as peer,
        session(peer, chunking=chunking, start_tls=False) as client,
    ):
        sent = []
        for end in ENDS if kind in ("list", "async iterator") else SOME:
            attack = HEAD + end + INNER + end + b"QUIT\r\n"
            start, stop = len(HEAD), len(HEAD) + len(end)
            # Before it, within it, behind it, in front of the second one, and all of it byte by byte.
            cuts = [[place] for place in range(start, stop + 1)] + [list(range(start, stop + 1))]
            for places in cuts:
                edges = [0, *places, attack.rindex(end), len(attack)]
                pieces = [attack[a:b] for a, b in itertools.pairwise(edges)]
                await client.sendmail(SENDER, RECIPIENTS, IN_PIECES[kind](pieces), options_of(extensions))
                sent.append(attack)
        assert_arrived(peer, sent, verbatim=extensions is BINARYMIME)
        await assert_usable(client, peer)


@pytest.mark.parametrize("extensions", [PIPELINING, BINARYMIME])
@pytest.mark.parametrize("unit", ["I", "H", "d"])
async def test_views_whose_items_are_no_octets(unit: str, extensions: tuple[str, ...]) -> None:
    """With a length in items for one in octets, the rest of the chunk would be read as commands."""
    attack = HEAD + b"\r\n.\r\nNOOP\r\n" * 8
    attack += b"x" * (-len(attack) % 8)
    async with (
        Peer(extensions=extensions, strict=True) as peer,
        session(peer, start_tls=False) as client,
    ):
        view = memoryview(attack).cast(unit)
        await client.sendmail(SENDER, RECIPIENTS, [view, view], options_of(extensions))
        await client.sendmail(SENDER, RECIPIENTS, view, options_of(extensions))
        assert_arrived(peer, [attack * 2, attack], verbatim=extensions is BINARYMIME)
        await assert_usable(client, peer)


@WAYS
async def test_at_the_edges_of_what_is_read_and_written_at_once(
    extensions: tuple[str, ...], chunking: bool | None, tmp_path: Path
) -> None:
    """A real file, of which a quarter of a mebibyte is read at a time, and as much of bytes is written."""
    edge = 1 << 18
    filling = HEAD + b"\r\n" + (b"x" * 62 + b"\r\n") * (edge // 64)
    path = tmp_path / "message"
    verbatim = extensions is BINARYMIME
    async with (
        Peer(extensions=extensions, strict=True) as peer,
        session(peer, chunking=chunking, start_tls=False) as client,
    ):
        for end in SOME:
            for before in (1, len(end) - 1):
                start, tail = filling[: edge - before - 2] + b"xx", end + INNER + end
                path.write_bytes(start + tail)
                with path.open("rb") as file:
                    await client.sendmail(SENDER, RECIPIENTS, file, options_of(extensions))
                await client.sendmail(
                    SENDER, RECIPIENTS, start + tail, options_of(extensions), progress=lambda *sent: None
                )
                first, second = peer.accepted
                assert first == second
                # The beginning needs no change, and is too long for readers that are slow on purpose.
                arrived = first.content.removeprefix(start)
                assert arrived == (tail if verbatim else canonical(tail))
                peer.accepted.clear()
        assert set(peer.verbs) <= {"EHLO", "MAIL", "RCPT", "DATA", "BDAT"}


@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING, CHUNKING])
@pytest.mark.parametrize("door", ["send", "send_many", "streams", "pool", "pool many", "LMTP", "by hand"])
async def test_every_door(door: str, extensions: tuple[str, ...]) -> None:
    """Where many go over one connection, the commands of the next come right behind the content."""
    async with Peer(extensions=extensions, strict=True, lmtp=door == "LMTP") as peer:
        options = options_for(peer, start_tls=False)
        envelopes = [aiosmtplib.Envelope(SENDER, RECIPIENTS, attack) for attack in ATTACKS]
        sent = ATTACKS
        if door == "send":
            sent = ATTACKS[::5]
            for attack in sent:
                await aiosmtplib.send(attack, sender=SENDER, recipients=RECIPIENTS, **options)
        elif door in ("send_many", "streams"):
            if door == "streams":
                halves = [[attack[: len(HEAD) + 1], attack[len(HEAD) + 1 :]] for attack in ATTACKS]
                envelopes = [aiosmtplib.Envelope(SENDER, RECIPIENTS, slowly(half)) for half in halves]
            async with aiosmtplib.SMTP(**options) as client:
                assert all([result.ok async for result in client.send_many(envelopes)])
        elif door == "pool":
            async with aiosmtplib.SMTPPool(**options, max_connections=1) as pool:
                for attack in ATTACKS:
                    await pool.send(attack, SENDER, RECIPIENTS)
        elif door == "pool many":
            async with aiosmtplib.SMTPPool(**options, max_connections=1) as pool:
                assert all([result.ok async for result in pool.send_many(envelopes)])
        elif door == "LMTP":
            async with aiosmtplib.LMTP(**options) as client:
                for attack in ATTACKS:
                    await client.sendmail(SENDER, RECIPIENTS, attack)
        else:
            async with aiosmtplib.SMTP(**options) as client:
                for attack in ATTACKS:
                    await client.mail(SENDER)
                    for recipient in RECIPIENTS:
                        await client.rcpt(recipient)
                    assert client.protocol is not None
                    if len(attack) % 2:
                        await client.data(attack)
                    else:
                        await client.protocol.execute_data_command(attack, PATIENCE)
        await peer.hung_up()
        assert_arrived(peer, sent)


# -- message objects ---------------------------------------------------------------------------------


def messages(attack: bytes) -> Iterator[tuple[str, EmailMessage | Message]]:
    """Message objects with an attack in each place that takes any text."""
    text = attack.decode("ascii")

    def new() -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"] = SENDER, ", ".join(RECIPIENTS)
        return message

    for cte in ("7bit", "8bit", "quoted-printable", "base64"):
        message = new()
        message.set_content(text, cte=cte)
        yield f"text as {cte}", message
    for cte in ("7bit", "8bit", "binary", "quoted-printable", "base64"):
        message = new()
        message.set_content("see attachment")
        message.add_attachment(attack, "application", "octet-stream", cte=cte)
        yield f"attachment as {cte}", message
    message = new()
    message.set_payload(text)
    yield "payload", message
    message = new()
    message.make_mixed()
    message.preamble = message.epilogue = text
    yield "preamble", message
    inner = EmailMessage()
    inner.set_payload(text)
    message = new()
    message.set_content(inner)
    yield "message in a message", message
    yield (
        "parsed",
        message_from_bytes(
            b"From: a@example.com\nTo: b@example.com, c@example.com\n\n" + attack, policy=policy.default
        ),
    )
    yield (
        "parsed, old",
        message_from_bytes(b"From: a@example.com\nTo: b@example.com, c@example.com\n\n" + attack),
    )
    old = Message()
    old["From"], old["To"] = SENDER, ", ".join(RECIPIENTS)
    old["Subject"] = text.replace(":", "")  # else the standard library refuses it
    old.set_payload(text)
    yield "old", old


@pytest.mark.parametrize("extensions", [PLAIN, (), PIPELINING, CHUNKING])
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
async def test_message_objects(extensions: tuple[str, ...], many: bool) -> None:
    cte_type = "8bit" if "8BITMIME" in extensions else "7bit"
    async with (
        Peer(extensions=extensions, strict=True) as peer,
        session(peer, start_tls=False) as client,
    ):
        objects, sent = [], []
        for end in SOME:
            for _, message in messages(HEAD[-4:] + end + INNER + end):
                if message.get_content_maintype() == "multipart":
                    message.set_boundary("cut")  # one that is generated is another each time
                flat = flatten_message(message, cte_type=cte_type)
                objects.append(message)
                sent.append(flat)
        if many:
            assert all([result.ok async for result in client.send_many(objects)])
        else:
            for message in objects:
                await client.send_message(message)
        assert_arrived(peer, sent)
        await assert_usable(client, peer)


def test_attachments_come_out_as_they_went_in() -> None:
    """Where the content is encoded, nothing of an attack is left to be read as one."""
    for end in SOME:
        attack = HEAD + end + INNER
        for name, message in messages(attack):
            flat = flatten_message(message)
            if not name.startswith("attachment as ") or name.endswith(("7bit", "8bit", "binary")):
                continue
            parsed = message_from_bytes(flat, policy=policy.default)
            assert isinstance(parsed, EmailMessage)
            (attachment,) = parsed.iter_attachments()
            assert attachment.get_content() == attack
            assert b"victim" not in flat or name.endswith("quoted-printable")
