"""``SMTPPool``, one message at a time: which connection it takes, when it is replaced, what is counted."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTPPool

from ..support.actions import cut, hold, in_turn, then
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, WIRE, email_message, options_for
from ..support.scripted_server import PIPELINING, Conversation, Limits, Peer


def pool_for(peer: Peer, **options: Any) -> SMTPPool:
    return SMTPPool(**options_for(peer, start_tls=False, **options))


@asynccontextmanager
async def pooled(peer: Peer, **options: Any) -> AsyncIterator[SMTPPool]:
    async with pool_for(peer, **options) as pool:
        yield pool
    await peer.hung_up()


async def send(pool: SMTPPool, name: str = "b", **options: Any) -> str:
    _, text = await pool.sendmail(SENDER, f"{name}@example.com", MESSAGE, **options)
    return text


def connections(peer: Peer) -> list[int]:
    """How many messages each connection carried."""
    return [conversation.commands.count(b"DATA") for conversation in peer.conversations]


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until something is so. A peer's hang guard ends what never comes."""
    while not condition():  # noqa: ASYNC110 (nobody tells)
        await asyncio.sleep(0)


# -- content -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [MESSAGE, MESSAGE.decode()])
async def test_sendmail_and_send(message: Any) -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer) as pool:
        assert await pool.sendmail(SENDER, RECIPIENTS, message) == ({}, "2.0.0 Accepted")
        assert await pool.send(message, SENDER, RECIPIENTS) == ({}, "2.0.0 Accepted")
        assert peer.conversations[0].bodies == [WIRE, WIRE]
        assert peer.verbs.count("EHLO") == 1
        stats = pool.stats()
        assert (stats.sent, stats.bytes, stats.idle) == (2, 2 * len(MESSAGE), 1)


async def test_message_objects() -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer) as pool:
        await pool.send(email_message())
        await pool.send_message(email_message(), rcpt_options=["NOTIFY=NEVER"], mail_options=["RET=HDRS"])
        assert [mail.sender for mail in peer.accepted] == [SENDER.encode()] * 2
        assert b"RET=HDRS" in peer.received
        assert pool.stats().bytes == 2 * len(peer.accepted[0].content)


async def test_streams_and_progress() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield MESSAGE[:10]
        yield MESSAGE[10:]

    calls: list[Any] = []
    async with Peer(extensions=PIPELINING) as peer, pooled(peer) as pool:
        await pool.send(io.BytesIO(MESSAGE), SENDER, RECIPIENTS)
        await pool.sendmail(SENDER, RECIPIENTS, pieces(), progress=lambda *call: calls.append(call))
        await pool.sendmail(SENDER, RECIPIENTS, MESSAGE, progress=lambda *call: calls.append(call))
        assert peer.conversations[0].bodies == [WIRE] * 3
        assert calls == [(10, None), (len(MESSAGE), None), (len(MESSAGE), len(MESSAGE))]
        assert pool.stats().bytes == 3 * len(MESSAGE)


async def test_what_cannot_be_sent() -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer) as pool:
        with pytest.raises(ValueError, match="Sender"):
            await pool.send(MESSAGE, None, RECIPIENTS)
        with pytest.raises(ValueError, match="Recipients"):
            await pool.send(MESSAGE, SENDER)
        with pytest.raises(TypeError):
            await pool.sendmail(SENDER, RECIPIENTS, 7)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="control character"):
            await pool.sendmail("a\r\nb", RECIPIENTS, MESSAGE)
        with pytest.raises(TypeError):
            await pool.send_message("x")  # type: ignore[arg-type]
        assert "MAIL" not in peer.verbs
        assert await send(pool)  # the connection is as good as before
        assert len(peer.conversations) == 1


# -- which connection --------------------------------------------------------------------------------


async def test_the_warmest_connection_is_used_first() -> None:
    first, second = asyncio.Event(), asyncio.Event()
    finals = in_turn(hold(first, "250 Ok"), hold(second, "250 Ok"), "250 Ok")
    async with Peer({".": finals}) as peer, pooled(peer, max_connections=2) as pool:
        early = asyncio.ensure_future(send(pool))
        await peer.seen(".")
        late = asyncio.ensure_future(send(pool))
        await until(lambda: sum(connections(peer)) == 2)
        second.set()
        await late
        first.set()
        await early  # its connection is now the one used last
        for _ in range(3):
            await send(pool)
        assert connections(peer) == [4, 1]


async def test_who_waits_is_served_in_turn() -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:
        await asyncio.gather(*(send(pool, f"r{number}") for number in range(20)))
        assert [mail.recipients for mail in peer.accepted] == [
            (b"r%d@example.com" % number,) for number in range(20)
        ]
        assert len(peer.conversations) == 1


async def test_a_refusal_makes_dirty_and_nothing_else_does() -> None:
    rcpt = in_turn("250 Ok", "550 No", "250 Ok")
    actions: dict[str, Any] = {"RCPT": rcpt}
    async with Peer(actions, extensions=PIPELINING, strict=True) as peer, pooled(peer) as pool:
        await send(pool)
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await send(pool)
        await send(pool)
        await send(pool)
        assert [verb for verb in peer.verbs if verb in ("RSET", "MAIL", "NOOP")] == (
            ["MAIL", "MAIL", "RSET", "MAIL", "MAIL"]
        )
        stats = pool.stats()
        assert (stats.sent, stats.refused, stats.unknown, stats.reconnects) == (3, 1, 0, 0)


# -- replacement -------------------------------------------------------------------------------------


async def test_max_messages() -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=1, max_messages=3) as pool:
        await asyncio.gather(*(send(pool) for _ in range(8)))
        assert connections(peer) == [3, 3, 2]
        assert peer.verbs.count("QUIT") == 2
        assert pool.stats().reconnects == 2


async def test_mailmax() -> None:
    extensions = (*PIPELINING, "LIMITS MAILMAX=2 RCPTMAX=100")
    async with (
        Peer(extensions=extensions, limits=Limits(mailmax=2)) as peer,
        pooled(peer, max_connections=1, max_messages=3) as pool,
    ):
        for _ in range(5):
            await send(pool)
        assert connections(peer) == [2, 2, 1]


async def test_idle_connections_are_closed() -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, idle_timeout=0.01) as pool:
        await send(pool)
        await peer.seen("QUIT")
        await until(lambda: not pool.stats().idle)
        await send(pool)
        await send(pool)
        assert len(peer.conversations) == 2


async def test_old_connections_are_not_used() -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_age=0.01) as pool:
        await send(pool)
        await peer.seen("QUIT")
        await until(lambda: not pool.stats().idle)
        await send(pool)
        assert len(peer.conversations) == 2
        assert pool.stats().reconnects == 1


async def say_and_go_on(conversation: Conversation) -> str:
    """Accept the message and, a moment later, say what nobody asked for."""
    await conversation.reply("250 Ok")
    await conversation.send(b"250 And another thing\r\n")
    return "250 Ok"


async def goodbye(conversation: Conversation) -> None:
    await conversation.reply("250 Ok")
    await conversation.send(b"421 4.4.2 You were quiet for too long\r\n")


@pytest.mark.parametrize("end", [say_and_go_on, goodbye, then("250 Ok", cut)])
async def test_a_connection_that_died_idle_is_not_used(end: Any) -> None:
    async with Peer({".": in_turn(end, "250 Ok")}) as peer, pooled(peer) as pool:
        await send(pool)
        await until(lambda: not pool.stats().idle)
        await send(pool)
        assert connections(peer) == [1, 1]
        assert "NOOP" not in peer.verbs
        assert pool.stats().reconnects == 1


# -- opening -----------------------------------------------------------------------------------------


async def test_a_server_that_takes_few_connections() -> None:
    async def two_at_most(conversation: Conversation) -> str | None:
        greeting = (
            "220 Hello" if len(conversation.peer.conversations) <= 2 else "421 4.7.0 Too many connections"
        )
        return await conversation.perform(greeting)

    async with Peer({"connect": two_at_most}) as peer, pooled(peer, max_connections=5) as pool:
        texts = await asyncio.gather(*(send(pool) for _ in range(50)))
        assert texts == ["2.0.0 Accepted"] * 50
        assert sum(connections(peer)) == 50
        assert pool.stats().limit == 2


async def test_a_server_that_is_down_and_comes_back() -> None:
    greeting = in_turn("554 Closed", "554 Closed", "220 Hello")
    async with Peer({"connect": greeting}) as peer, pooled(peer, max_connections=1) as pool:
        errors: list[Any] = await asyncio.gather(*(send(pool) for _ in range(3)), return_exceptions=True)
        assert [(type(error), error.code) for error in errors] == [
            (aiosmtplib.SMTPConnectResponseError, 554)
        ] * 3
        # A traceback belongs to one task.
        assert len(set(map(id, errors))) == 3
        assert all(isinstance(error.__cause__, aiosmtplib.SMTPConnectResponseError) for error in errors)
        assert await send(pool) == "2.0.0 Accepted"


class Worded(Exception):
    """An error whose text is made from what it is called with. It cannot be copied."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")


class Prefixed(Exception):
    """Another, whose copy would say something else."""

    def __init__(self, text: str) -> None:
        super().__init__(f"token: {text}")


@pytest.mark.parametrize(
    ("error", "text"), [(Worded(7, "gone"), "7 gone"), (Prefixed("gone"), "token: gone")]
)
async def test_every_kind_of_error_comes_to_everyone_who_waits(error: Exception, text: str) -> None:
    async def token() -> str:
        raise error

    async with Peer(extensions=(*PIPELINING, "AUTH XOAUTH2")) as peer:
        pool = pool_for(peer, username="me", oauth_token_generator=token)
        errors = await asyncio.gather(*(send(pool) for _ in range(3)), return_exceptions=True)
        assert [(type(each), str(each)) for each in errors] == [(type(error), text)] * 3
        await pool.aclose()
        await peer.hung_up()


@pytest.mark.parametrize("ehlo", ["500 No", "421 Bye"])
async def test_ehlo_is_part_of_opening(ehlo: str) -> None:
    async with Peer({"EHLO": ehlo, "HELO": "500 No"}) as peer, pooled(peer) as pool:
        with pytest.raises(aiosmtplib.SMTPException):
            await send(pool)
        assert pool.stats().opening == 0


async def test_lost_in_the_moment_when_it_was_open() -> None:
    async def drop(conversation: Conversation) -> None:
        await conversation.send(b"250-peer.example\r\n250 PIPELINING\r\n421 4.3.2 Not today\r\n")

    async with Peer({"EHLO": in_turn(then(drop), "250 peer.example")}) as peer, pooled(peer) as pool:
        with pytest.raises(aiosmtplib.SMTPException):
            await send(pool)
        assert await send(pool) == "2.0.0 Accepted"


# -- options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"port": 0}, ValueError),
        ({"use_tls": True, "start_tls": True}, ValueError),
        ({"timeout": "long"}, TypeError),
        ({"max_connections": 0}, ValueError),
        ({"max_connections": 2.5}, TypeError),
        ({"max_messages": 0}, ValueError),
        ({"max_age": -1}, ValueError),
        ({"idle_timeout": 0}, ValueError),
        ({"rate": 0}, ValueError),
        ({"nonsense": 1}, TypeError),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        SMTPPool(**options)


def test_repr() -> None:
    pool = SMTPPool("mx.example", 2525, password="secret", username="me")
    assert repr(pool) == (
        "<SMTPPool to mx.example on port 2525: 0 idle, 0 busy, 0 sent, 0 refused, 0 unknown, "
        "0 reconnects, 0 bytes>"
    )


async def test_a_class_of_ones_own() -> None:
    class Counting(aiosmtplib.SMTP):
        count = 0

        async def connect(self, **options: Any) -> aiosmtplib.SMTPResponse:
            Counting.count += 1
            return await super().connect(**options)

    async with Peer() as peer, pooled(peer, client_class=Counting) as pool:
        await send(pool)
        assert Counting.count == 1


async def test_a_pool_belongs_to_a_loop() -> None:
    async with Peer() as peer, pooled(peer) as pool:
        await send(pool)

        def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="event loop"):
                asyncio.run(send(pool))

        await asyncio.get_running_loop().run_in_executor(None, elsewhere)
