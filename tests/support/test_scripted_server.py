"""The scripted peer itself: tests rest on what it says, and on its ledger.

Driven by raw lines, because only then is it certain what the peer was sent.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from .actions import at_nth, cut, in_turn, reset_after, when_received
from .scripted_server import BINARYMIME, CHUNKING, CONTENT, PATIENCE, PIPELINING, Accepted, Limits, Peer

MAIL = b"MAIL FROM:<a@x>"
RCPT = b"RCPT TO:<b@x>"
OTHER = b"RCPT TO:<c@x>"
TEXT = b"..one\r\ntwo\r\n.\r\n"
PLAIN = b".one\r\ntwo\r\n"


class Client:
    """Says what it is told to say."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader

    async def reply(self) -> str:
        """The last line of the next reply; nothing where the peer has closed."""
        line = b"   -"
        while line[3:4] == b"-":
            line = await asyncio.wait_for(self._reader.readline(), PATIENCE)
        return line.decode().rstrip("\r\n")

    async def say(self, *lines: bytes) -> list[int]:
        """Send all lines at once; the code of the reply to each."""
        self.writer.write(b"".join(line + b"\r\n" for line in lines))
        return [int((await self.reply())[:3]) for _ in lines]

    async def text(self, data: bytes, replies: int = 1) -> list[int]:
        """Send just this; the codes of that many replies."""
        self.writer.write(data)
        return [int((await self.reply())[:3]) for _ in range(replies)]

    async def chunk(self, content: bytes, last: bytes = b"") -> int:
        (code,) = await self.text(b"BDAT %d%s\r\n%s" % (len(content), last, content))
        return code


@asynccontextmanager
async def connected(peer: Peer) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(peer.host, peer.port)
    client = Client(reader, writer)
    try:
        assert (await client.reply())[:3] == "220"
        yield client
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)  # a reset is the peer's right
        await peer.hung_up()


def test_extensions() -> None:
    assert "PIPELINING" in PIPELINING
    assert "CHUNKING" in CHUNKING and "BINARYMIME" not in CHUNKING
    assert set(PIPELINING) < set(CHUNKING) < set(BINARYMIME)


@pytest.mark.parametrize("strict", [False, True])
async def test_bdat(strict: bool) -> None:
    first, second = b"QUIT\r\n.\r\n", b"\0.\r\nno line end"
    async with Peer(extensions=CHUNKING, strict=strict) as peer:
        async with connected(peer) as client:
            assert await client.say(MAIL, RCPT, OTHER) == [250, 250, 250]
            assert await client.chunk(first) == 250
            assert peer.accepted == []
            assert await client.chunk(second, b" LAST") == 250
            assert peer.accepted == [Accepted(b"a@x", (b"b@x", b"c@x"), first + second)]
            # Two more, back to back, without waiting; an empty last chunk is one, too.
            pipelined = MAIL + b"\r\n" + RCPT + b"\r\n"
            pipelined += b"BDAT 3 last\r\nabc" + pipelined + b"BDAT 3\r\ndef" + b"BDAT 0 LAST\r\n"
            assert await client.text(pipelined, 7) == [250] * 7
        conversation = peer.conversations[0]
        assert conversation.bodies == [first + second, b"abc", b"def"]
        assert conversation.partial is None
        assert [each.content for each in peer.accepted] == conversation.bodies
        assert conversation.log[1:9] == [
            ("C", MAIL),
            ("S", "250 2.1.0 Ok"),
            ("C", RCPT),
            ("S", "250 2.1.5 Ok"),
            ("C", OTHER),
            ("S", "250 2.1.5 Ok"),
            ("C", b"BDAT 9"),
            ("C", CONTENT),
        ]
        assert ("S", "250 2.0.0 9 octets") in conversation.log


@pytest.mark.parametrize("line", [b"BDAT", b"BDAT x", b"BDAT -1", b"BDAT 3 FIRST", b"BDAT 3 LAST LAST"])
async def test_bdat_that_is_none(line: bytes) -> None:
    async with Peer(extensions=CHUNKING) as peer, connected(peer) as client:
        assert await client.say(line, b"NOOP") == [501, 250]


@pytest.mark.parametrize("position", ["BDAT", "BDAT LAST"])
async def test_after_a_refused_chunk_only_rset_helps(position: str) -> None:
    actions = {position: at_nth(1, "452 4.3.1 full")}
    async with Peer(actions, extensions=CHUNKING, strict=True) as peer, connected(peer) as client:
        assert await client.say(MAIL, RCPT) == [250, 250]
        assert await client.chunk(b"abc", b" LAST" if position == "BDAT LAST" else b"") == 452
        assert await client.chunk(b"QUIT\r\n") == 503
        assert await client.chunk(b"def", b" LAST") == 503
        assert await client.say(MAIL, RCPT, b"DATA") == [503, 503, 503]
        assert peer.accepted == []
        assert await client.say(b"RSET", MAIL, RCPT) == [250, 250, 250]
        assert await client.chunk(b"ghi") == 250
        assert await client.chunk(b"jkl", b" LAST") == 250
        assert peer.accepted == [Accepted(b"a@x", (b"b@x",), b"ghijkl")]
        assert peer.conversations[0].bodies == ([b"abc"] if position == "BDAT LAST" else []) + [b"ghijkl"]


async def test_lenient_peer_goes_on_after_a_refused_chunk() -> None:
    """The server that a client must not be caught by: half of a message, accepted."""
    async with Peer({"BDAT": "552 no"}, extensions=CHUNKING) as peer, connected(peer) as client:
        assert await client.say(MAIL, RCPT) == [250, 250]
        assert await client.chunk(b"abc") == 552
        assert await client.chunk(b"def", b" LAST") == 250
        assert peer.accepted == [Accepted(b"a@x", (b"b@x",), b"def")]
        assert await client.chunk(b"", b" LAST") == 250
        assert peer.accepted[1:] == [Accepted(None, (), b"")]


@pytest.mark.parametrize(
    ("sent", "partial"),
    [
        (b"BDAT 3\r\nabcBDAT 10 LAST\r\ndef", b"abcdef"),
        (b"BDAT 10 LAST\r\n", b""),
        (b"BDAT 3\r\nabc", b"abc"),
        (b"BDAT 3\r\nabcBDAT 10 LA", b"abc"),
        (b"DATA\r\nabc\r\n", b"abc\r\n"),
        (b"BDAT 3 LAST\r\nabc", None),
    ],
)
async def test_broken_off(sent: bytes, partial: bytes | None) -> None:
    async with Peer(extensions=CHUNKING, strict=True) as peer:
        async with connected(peer) as client:
            assert await client.say(MAIL, RCPT) == [250, 250]
            client.writer.write(sent)
            client.writer.write_eof()
        assert peer.conversations[0].partial == partial
        assert (peer.conversations[0].bodies == []) is (partial is not None)


STRICT = [
    ([MAIL, MAIL], [250, 503]),
    ([MAIL, RCPT, MAIL], [250, 250, 503]),
    ([RCPT], [503]),
    ([b"DATA"], [554]),
    ([MAIL, b"DATA"], [250, 554]),
    ([MAIL, b"DATA", MAIL], [250, 554, 503]),
    ([MAIL, b"RSET", MAIL], [250, 250, 250]),
    ([MAIL, RCPT, b"EHLO me", MAIL, b"DATA"], [250, 250, 250, 250, 554]),
    ([MAIL, RCPT, b"HELO me", RCPT], [250, 250, 250, 503]),
    ([MAIL, RCPT, b"BDAT 0", RCPT], [250, 250, 250, 503]),
    ([MAIL, RCPT, b"BDAT 0", b"DATA"], [250, 250, 250, 503]),
    ([MAIL, RCPT, b"BDAT 0", MAIL], [250, 250, 250, 503]),
    ([MAIL, b"BDAT 0 LAST", b"BDAT 0 LAST"], [250, 554, 503]),
    ([b"BDAT 0 LAST", MAIL, b"RSET", MAIL], [554, 503, 250, 250]),
    ([b".", b"*", b"WHAT"], [500, 500, 500]),
]


@pytest.mark.parametrize(("lines", "codes"), STRICT)
async def test_strict(lines: list[bytes], codes: list[int]) -> None:
    async with Peer(strict=True) as peer, connected(peer) as client:
        assert await client.say(*lines) == codes
        assert peer.accepted == []


@pytest.mark.parametrize(
    "lines", [[MAIL, MAIL], [RCPT], [MAIL, RCPT, b"BDAT 0", RCPT, MAIL], [b"BDAT 0 LAST"]]
)
async def test_lenient(lines: list[bytes]) -> None:
    async with Peer() as peer, connected(peer) as client:
        assert await client.say(*lines) == [250] * len(lines)


@pytest.mark.parametrize("final", ["250 taken", "450 later"])
async def test_the_final_reply_closes_the_transaction(final: str) -> None:
    async with Peer({".": final}, strict=True) as peer, connected(peer) as client:
        assert await client.say(MAIL, RCPT, b"DATA") == [250, 250, 354]
        assert await client.text(TEXT) == [int(final[:3])]
        assert await client.say(RCPT, b"DATA", MAIL) == [503, 554, 250]
        assert len(peer.accepted) == (final[0] == "2")


async def test_strict_peer_drops_octets_without_a_recipient() -> None:
    async with Peer({"RCPT": "550 no"}, strict=True) as peer, connected(peer) as client:
        assert await client.say(MAIL, RCPT) == [250, 550]
        assert await client.chunk(b"QUIT\r\n", b" LAST") == 554
        assert await client.say(b"NOOP") == [250]
        assert peer.conversations[0].bodies == []
        assert peer.accepted == []


async def test_refused_rset_closes_nothing() -> None:
    async with Peer({"RSET": "550 no"}, strict=True) as peer, connected(peer) as client:
        assert await client.say(MAIL, b"RSET", MAIL) == [250, 550, 503]


@pytest.mark.parametrize("strict", [False, True])
async def test_ledger_of_a_peer_that_refuses_mail_and_takes_the_rest(strict: bool) -> None:
    actions: dict[str, Any] = {"MAIL": "550 no", "RCPT": "250 yes", "DATA": "354 go"}
    async with Peer(actions, strict=strict) as peer, connected(peer) as client:
        assert await client.say(MAIL, RCPT, b"DATA") == [550, 250, 354]
        assert await client.text(TEXT) == [250]
        assert peer.accepted == [Accepted(None, (b"b@x",), PLAIN)]
        assert await client.say(b"DATA") == [354]
        assert await client.text(b".\r\n") == [250]
        assert peer.accepted[1:] == [Accepted(None, (), b"")]
        assert peer.conversations[0].bodies == [TEXT, b".\r\n"]


async def test_ledger_of_transactions_that_ran_into_each_other() -> None:
    actions = {"MAIL": in_turn("250 yes", "550 no"), "DATA": at_nth(1, "451 later")}
    async with Peer(actions) as peer, connected(peer) as client:
        assert await client.say(MAIL, RCPT, b"DATA") == [250, 250, 451]
        assert await client.say(b"MAIL FROM:<z@x>", OTHER, b"DATA") == [550, 250, 354]
        assert await client.text(TEXT) == [250]
        assert peer.accepted == [Accepted(b"a@x", (b"b@x", b"c@x"), PLAIN)]


async def test_overrides_win_over_strictness() -> None:
    async with Peer({"BDAT LAST": "250 fine"}, strict=True) as peer, connected(peer) as client:
        assert await client.say(MAIL) == [250]
        assert await client.chunk(b"abc") == 554
        assert await client.chunk(b"def", b" LAST") == 250
        assert peer.accepted == [Accepted(b"a@x", (), b"def")]
        assert peer.conversations[0].bodies == [b"def"]


async def test_at_nth() -> None:
    actions = {"MAIL": at_nth(3, "451 4.3.0 third"), "NOOP": at_nth(2, cut, "250 often")}
    async with Peer(actions) as peer:
        async with connected(peer) as client:
            assert await client.say(MAIL, MAIL) == [250, 250]
            client.writer.write(b"NOOP\r\n")
            assert await client.reply() == "250 often"
        async with connected(peer) as client:
            assert await client.say(MAIL, MAIL) == [451, 250]
            client.writer.write(b"NOOP\r\n")
            assert await client.reply() == ""


async def test_at_nth_leaves_the_others_to_strictness() -> None:
    async with Peer({"MAIL": at_nth(1, "250 yes")}, strict=True) as peer, connected(peer) as client:
        assert await client.say(MAIL, MAIL, b"RSET", MAIL) == [250, 503, 250, 250]


async def test_at_nth_has_the_usual_ehlo() -> None:
    async with Peer({"EHLO": at_nth(2, "421 no")}, extensions=CHUNKING) as peer, connected(peer) as client:
        assert await client.say(b"EHLO me", b"EHLO me") == [250, 421]
        assert (
            "S",
            "\r\n".join(["250-peer.example", *(f"250-{each}" for each in PIPELINING), "250 CHUNKING"]),
        ) in (peer.conversations[0].log)


async def test_when_received() -> None:
    actions = {"MAIL": when_received(b"DATA\r\n"), "DATA": when_received(b"RSET", reset_after(b"35"))}
    async with Peer(actions) as peer:
        async with connected(peer) as client:
            client.writer.write(MAIL + b"\r\n" + RCPT)
            client.writer.write(b"\r\nDATA\r\n")
            assert [(await client.reply())[:3] for _ in range(2)] == ["250", "250"]
            client.writer.write(b"RSET")
            with pytest.raises(ConnectionResetError):
                assert await client.reply() == "35"
        assert peer.conversations[0].log[1:] == [
            ("C", MAIL),
            ("ahead", b"DATA\r\n"),
            ("S", "250 2.1.0 Ok"),
            ("C", RCPT),
            ("S", "250 2.1.5 Ok"),
            ("C", b"DATA"),
            ("ahead", b"RSET"),
            ("S", "35"),
        ]


async def test_when_received_is_not_fooled_by_what_was_answered() -> None:
    async with Peer({"MAIL": at_nth(2, when_received(b"RCPT"))}) as peer:
        async with connected(peer) as client:
            assert await client.say(MAIL, RCPT) == [250, 250]
            client.writer.write(MAIL + b"\r\n")
            client.writer.write_eof()
            assert await client.reply() == ""
        assert peer.conversations[0].log[-1] == ("C", MAIL)


async def test_mailmax() -> None:
    async with Peer(limits=Limits(mailmax=2)) as peer:
        async with connected(peer) as client:
            for _ in range(2):
                assert await client.say(MAIL, RCPT, b"DATA") == [250, 250, 354]
                assert await client.text(TEXT) == [250]
            client.writer.write(MAIL + b"\r\nNOOP\r\n")
            assert await client.reply() == "421 4.7.0 too many messages"
            assert await client.reply() == ""
        assert len(peer.accepted) == 2
        async with connected(peer) as client:
            assert await client.say(MAIL) == [250]


async def test_rcptmax() -> None:
    peer = Peer({"MAIL": at_nth(1, "550 no")}, limits=Limits(rcptmax=2))
    async with peer, connected(peer) as client:
        assert await client.say(MAIL, MAIL, RCPT, OTHER, RCPT, RCPT) == [550, 250, 250, 250, 452, 452]
        assert await client.say(b"RSET", MAIL, RCPT) == [250, 250, 250]
    assert Peer(limits=Limits(2, 1)).limits == (2, 1)


async def test_lmtp() -> None:
    final = in_turn("250 b", "550 not c", "250 d", "450 none")
    async with Peer({".": final}, lmtp=True, strict=True) as peer, connected(peer) as client:
        assert await client.say(b"EHLO me", b"HELO me", b"LHLO me") == [500, 500, 250]
        assert await client.say(MAIL, b"DATA", RCPT, OTHER, b"RCPT TO:<d@x>") == [250, 503, 250, 250, 250]
        assert await client.say(b"DATA") == [354]
        assert await client.text(TEXT, 3) == [250, 550, 250]
        assert peer.accepted == [Accepted(b"a@x", (b"b@x", b"d@x"), PLAIN)]
        assert await client.say(MAIL, RCPT, OTHER, b"DATA") == [250, 250, 250, 354]
        assert await client.text(TEXT, 2) == [450, 450]
        assert len(peer.accepted) == 1
        assert await client.say(MAIL, RCPT, b"LHLO me", MAIL) == [250] * 4


async def test_lmtp_with_bdat() -> None:
    final = in_turn("250 b", "450 not c")
    async with Peer({"BDAT LAST": final}, lmtp=True, strict=True) as peer, connected(peer) as client:
        assert await client.say(MAIL, RCPT, OTHER) == [250, 250, 250]
        assert await client.chunk(b"abc") == 250
        assert await client.text(b"BDAT 3 LAST\r\ndef", 2) == [250, 450]
        assert peer.accepted == [Accepted(b"a@x", (b"b@x",), b"abcdef")]
        assert await client.say(MAIL) == [250]
        assert await client.text(b"BDAT 3 LAST\r\ndef") == [450]  # out of order: one reply, the script's
        assert len(peer.accepted) == 1


async def test_lmtp_has_no_reply_for_no_recipient() -> None:
    async with Peer({"RCPT": "550 no"}, lmtp=True) as peer, connected(peer) as client:
        assert await client.say(MAIL, RCPT, b"DATA") == [250, 550, 354]
        assert await client.text(TEXT + b"NOOP\r\n") == [250]
        assert peer.accepted == []
        assert peer.conversations[0].log[-2:] == [("C", b"NOOP"), ("S", "250 2.0.0 Ok")]


async def test_lhlo_is_for_lmtp_alone() -> None:
    async with Peer() as peer, connected(peer) as client:
        assert await client.say(b"LHLO me") == [500]
