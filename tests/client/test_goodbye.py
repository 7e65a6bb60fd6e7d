"""The end of a connection: nothing is left to the garbage collector when the event loop ends with it."""

import asyncio
import gc
import warnings
from asyncio.sslproto import SSLProtocol
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import (
    SMTP,
    Delivery,
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponse,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from aiosmtplib._client.lifetime import expect_no_more
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.testing import Server

from ..support import certs
from ..support.actions import cut, hold, reset, silence, then, when_received
from ..support.clients import (
    MESSAGE,
    RECIPIENTS,
    SENDER,
    assert_closed,
    assert_usable,
    client_for,
    email_message,
    options_for,
    session,
)
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Action, Conversation, Peer
from ..support.threaded_servers import in_thread


@pytest.mark.parametrize("how", [{"use_tls": True}, {"start_tls": True}, {}])
@pytest.mark.parametrize("by_hand", [True, False])
def test_the_event_loop_may_end_with_quit(how: dict[str, bool], by_hand: bool) -> None:
    async def program(server: Server) -> None:
        client = SMTP(**{**server.connect_options, "tls_context": None}, validate_certs=False)
        if by_hand:
            await client.connect()
            await client.quit()
        else:
            async with client:
                await client.noop()

    with warnings.catch_warnings(record=True) as caught, in_thread(Server(**how)) as server:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(20):  # the end of the loop and the server's answer to the end of TLS are a race
            asyncio.run(program(server))
            gc.collect()
    assert [str(warning.message) for warning in caught] == []


async def test_a_server_that_keeps_the_connection_open_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under TLS it would have to answer the close; here it reads nothing any more."""
    monkeypatch.setattr("aiosmtplib._transport.client_protocol._CLOSE_TIMEOUT", 0.01)
    never = asyncio.Event()
    async with Peer({"NOOP": hold(never, "250 ok")}, tls=certs.server_context()) as peer:
        client = client_for(peer, tls_context=certs.client_context(), start_tls=True)
        await client.connect()
        task = asyncio.ensure_future(client.noop())
        await peer.seen("NOOP")
        protocol = client.protocol
        assert protocol is not None
        client.close()
        with pytest.raises(SMTPServerDisconnected):
            await task
        await protocol.wait_closed()
        assert_closed(client)
        never.set()


@pytest.mark.parametrize("how", [{"use_tls": True}, {"start_tls": True}])
async def test_a_refused_login_leaves_no_connection_behind(how: dict[str, bool]) -> None:
    """Not even to a server that takes no part in the end of TLS, such as Exim, which waits for a command."""
    gone = asyncio.Event()

    async def wait_for_the_end(conversation: Conversation) -> None:
        loop = asyncio.get_running_loop()
        try:
            # Below TLS, so that its end is not answered.
            while await loop.sock_recv(conversation._sock, 4096):
                pass
        except ConnectionResetError:
            pass
        gone.set()

    actions: dict[str, Action] = {"AUTH": then("535 5.7.8 no", wait_for_the_end)}
    tls = {"tls": certs.server_context(), "implicit_tls": "use_tls" in how}
    async with Peer(actions, extensions=("AUTH PLAIN",), **tls) as peer:
        login = {"username": "user", "password": "secret"}
        client = client_for(peer, tls_context=certs.client_context(), **login, **how)
        with pytest.raises(SMTPAuthenticationError):
            await client.connect()
        assert_closed(client)
        await asyncio.wait_for(gone.wait(), PATIENCE)


async def test_nothing_to_wait_for() -> None:
    await SMTPProtocol().wait_closed()
    async with Peer() as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        protocol = client.protocol
        assert protocol is not None
        await client.quit()
        await protocol.wait_closed()


async def test_quit_where_the_server_breaks_off() -> None:
    """Some servers do not take the time for a reply, or for the end of TLS."""
    async with Peer({"QUIT": reset}) as peer, session(peer) as client:
        assert await client.quit() == (221, "")
        assert_closed(client)
        peer.actions.clear()
        await assert_usable(client, peer)


async def test_quit_where_the_server_ends_without_a_reply() -> None:
    async with Peer({"QUIT": cut}) as peer, session(peer) as client:
        with pytest.raises(SMTPServerDisconnected):
            await client.quit()
        assert_closed(client)


# -- QUIT with the last message --------------------------------------------------------------------------


async def send_to(peer: Peer, **options: Any) -> tuple[dict[str, SMTPResponse], str]:
    return await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options_for(peer, **options))


@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
@pytest.mark.parametrize("chunking", [None, True])
async def test_send_says_goodbye_with_the_content(extensions: tuple[str, ...], chunking: bool | None) -> None:
    final = "BDAT LAST" if chunking and extensions is CHUNKING else "."
    async with Peer({final: when_received(b"QUIT\r\n")}, extensions=extensions, strict=True) as peer:
        assert await send_to(peer, chunking=chunking) == ({}, "2.0.0 Accepted")
        await peer.hung_up()
    assert peer.verbs[-1] == "QUIT" and peer.verbs.count("QUIT") == 1
    assert len(peer.accepted) == 1


@pytest.mark.parametrize("tls", ["", "TLS", "STARTTLS"])
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("extensions", [(), PIPELINING])
async def test_a_client_is_freed_without_the_collector(
    extensions: tuple[str, ...], together: bool, tls: str
) -> None:
    """With all that belongs to its connection: the buffers of one by TLS are of 256 KiB and more.

    :param together: whether the replies to the content and to QUIT come together
    """

    def left() -> int:
        found = [each for each in gc.get_objects() if isinstance(each, SMTP | SMTPProtocol | SSLProtocol)]
        return len([each for each in found if not getattr(each, "_server_side", False)])

    replies: dict[str, Action] = {".": when_received(b"QUIT\r\n")} if together and extensions else {}
    context = certs.server_context() if tls else None
    options = {"tls_context": certs.client_context(), "use_tls": tls == "TLS"} if tls else {}
    async with Peer(replies, extensions=extensions, tls=context, implicit_tls=tls == "TLS") as peer:
        await send_to(peer, **options)  # whatever is made once, has been
        gc.collect()
        before = left()
        gc.disable()
        try:
            for _ in range(3):
                await send_to(peer, **options)
            await peer.hung_up()
            assert left() == before
        finally:
            gc.enable()


async def test_an_object_is_sent_with_a_goodbye() -> None:
    async with Peer({".": when_received(b"QUIT\r\n")}, extensions=PIPELINING) as peer:
        await aiosmtplib.send(email_message(), **options_for(peer))
        await peer.hung_up()
    assert peer.verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize(
    ("extensions", "options"), [((), {}), (PIPELINING, {"pipelining": False})], ids=["server", "client"]
)
async def test_no_goodbye_ahead_without_pipelining(
    extensions: tuple[str, ...], options: dict[str, bool]
) -> None:
    said = []

    async def final(conversation: Conversation) -> str:
        said.append(conversation.unread)
        return await conversation.perform("250 ok")

    async with Peer({".": final}, extensions=extensions) as peer:
        await send_to(peer, **options)
        await peer.hung_up()
    assert said == [b""] and peer.verbs[-1] == "QUIT"


@pytest.mark.parametrize("position", ["MAIL", "RCPT", "DATA", "."])
async def test_a_refusal_is_what_it_is_without_a_goodbye(position: str) -> None:
    async with Peer({position: "550 5.1.1 no"}, extensions=PIPELINING, strict=True) as peer:
        with pytest.raises(SMTPException) as caught:
            await send_to(peer)
        await peer.hung_up()
    assert caught.value.delivery is Delivery.REJECTED and peer.verbs[-1] == "QUIT"
    assert not peer.accepted


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("answer", [cut, "500 what?", "421 too late", silence, reset])
async def test_what_becomes_of_the_goodbye_is_no_matter(
    answer: Action, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the server drops it, as some drop all that they read behind content."""
    monkeypatch.setattr("aiosmtplib._client.transactions.GOODBYE_PATIENCE", 0.01)
    monkeypatch.setattr("aiosmtplib._transport.client_protocol._CLOSE_TIMEOUT", 0.01)
    secure = {"tls": certs.server_context()} if tls else {}
    options = {"tls_context": certs.client_context(), "start_tls": True} if tls else {}
    async with Peer({"QUIT": answer}, extensions=PIPELINING, **secure) as peer:
        assert await send_to(peer, **options) == ({}, "2.0.0 Accepted")
        if answer is not reset:
            await peer.hung_up()
    assert len(peer.accepted) == 1


async def test_the_goodbye_does_not_outlast_the_timeout() -> None:
    async with Peer({"QUIT": silence}, extensions=PIPELINING) as peer:
        assert await asyncio.wait_for(send_to(peer, timeout=0.2), 5) == ({}, "2.0.0 Accepted")
        await peer.hung_up()


@pytest.mark.parametrize("final", [cut, "421 4.3.2 going", "garbage"])
async def test_a_loss_before_the_verdict(final: Action) -> None:
    async with Peer({".": final}, extensions=PIPELINING) as peer:
        with pytest.raises(SMTPException) as caught:
            await send_to(peer)
        await peer.hung_up()
    assert caught.value.delivery is (Delivery.REJECTED if final == "421 4.3.2 going" else Delivery.UNKNOWN)


async def test_a_time_out_at_once_sends_nothing() -> None:
    async with Peer(extensions=PIPELINING) as peer:
        client = client_for(peer, start_tls=False)
        expect_no_more(client)
        await client.connect()
        with pytest.raises(SMTPTimeoutError):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE, timeout=0)
        await peer.hung_up()
    assert peer.verbs == ["EHLO"]


async def test_cancelled_while_the_goodbye_is_out() -> None:
    never = asyncio.Event()
    async with Peer({"QUIT": hold(never, "221 bye")}, extensions=PIPELINING) as peer:
        task = asyncio.ensure_future(send_to(peer))
        await peer.seen("QUIT")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        never.set()
        await peer.hung_up()
