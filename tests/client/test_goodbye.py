"""The end of a connection: nothing is left to the garbage collector when the event loop ends with it."""

import asyncio
import gc
import warnings

import pytest

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.testing import Server

from ..support import certs
from ..support.actions import hold, then
from ..support.clients import assert_closed, client_for
from ..support.scripted_server import PATIENCE, Action, Conversation, Peer
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
