"""The relay that stands for a distance: it must change nothing but the time."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from .clients import MESSAGE, RECIPIENTS, SENDER, WIRE, client_for
from .delay_relay import BOUND, Relay
from .scripted_server import PATIENCE, Conversation, Peer

DELAY = 0.002
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def through(peer: Peer, relay: Relay | None = None) -> AsyncIterator[socket.socket]:
    """A raw connection to the peer; the relay is closed before the peer."""
    async with relay or Relay(peer.host, peer.port, DELAY) as between:
        sock = socket.socket()
        sock.setblocking(False)
        with sock:
            await asyncio.get_running_loop().sock_connect(sock, (between.host, between.port))
            yield sock


async def read(sock: socket.socket, size: int = 65536) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, size), PATIENCE)


async def read_all(sock: socket.socket) -> bytes:
    data = bytearray()
    while piece := await read(sock, 2**20):
        data += piece
    return bytes(data)


async def test_a_client_does_not_notice() -> None:
    async with Peer() as peer, Relay(peer.host, peer.port, DELAY) as relay:
        for _ in range(2):
            client = client_for(peer, port=relay.port)
            async with client:
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await peer.hung_up()
        assert [each.bodies for each in peer.conversations] == [[WIRE], [WIRE]]


async def test_bytes_and_their_order_in_both_directions() -> None:
    there, back = os.urandom(3_000_000), os.urandom(3_000_000)

    async def script(conversation: Conversation) -> None:
        await asyncio.gather(conversation.send(back), conversation.read_some(len(there)))
        await conversation.cut()

    async with Peer(script=script) as peer:
        async with through(peer) as sock:
            loop = asyncio.get_running_loop()
            _, received = await asyncio.gather(loop.sock_sendall(sock, there), read_all(sock))
            sock.shutdown(socket.SHUT_WR)
            await peer.hung_up()
            assert received == back
        assert peer.received == there


async def test_half_close_of_the_client() -> None:
    async def script(conversation: Conversation) -> None:
        try:
            await conversation.drain()
        finally:
            await conversation.send(b"all of " + conversation.received)

    async with Peer(script=script) as peer, through(peer) as sock:
        await asyncio.get_running_loop().sock_sendall(sock, b"this")
        sock.shutdown(socket.SHUT_WR)
        assert await read_all(sock) == b"all of this"


async def test_half_close_of_the_server() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.send(b"bye")
        await conversation.cut()

    async with Peer(script=script) as peer:
        async with through(peer) as sock:
            assert await read_all(sock) == b"bye"
            await asyncio.get_running_loop().sock_sendall(sock, b"and so say I")
            sock.shutdown(socket.SHUT_WR)
            await peer.hung_up()
        assert peer.received == b"and so say I"


async def test_reset_by_the_server_comes_after_its_data() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.send(b"oops")
        await conversation.read_some(4)
        conversation.reset()

    async with Peer(script=script) as peer, through(peer) as sock:
        assert await read(sock) == b"oops"
        await asyncio.get_running_loop().sock_sendall(sock, b"what")
        with pytest.raises(ConnectionResetError):
            await read(sock)


async def test_reset_by_the_client() -> None:
    seen: list[BaseException | None] = []

    async def script(conversation: Conversation) -> None:
        await conversation.send(b"hello")
        try:
            await conversation.drain()
        except Exception as exc:
            seen.append(exc.__cause__)
            raise

    async with Peer(script=script) as peer, through(peer) as sock:
        assert await read(sock) == b"hello"
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
        await peer.hung_up()
    assert [type(each) for each in seen] == [ConnectionResetError]


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with Peer() as peer, through(peer, Relay("127.0.0.1", port, 0.0)) as sock:
        with pytest.raises(ConnectionResetError):
            await read(sock)


async def test_memory_is_bounded() -> None:
    data = os.urandom(BOUND) * 5
    go = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await go.wait()
        await conversation.drain()

    async with Peer(script=script) as peer:
        relay = Relay(peer.host, peer.port, DELAY)
        async with through(peer, relay) as sock:
            sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(sock, data))
            await asyncio.wait_for(relay.full.wait(), PATIENCE)
            go.set()
            await asyncio.wait_for(sending, PATIENCE)
            sock.shutdown(socket.SHUT_WR)
            await peer.hung_up()
        assert BOUND < relay.most <= BOUND + 2**20
        assert peer.received == data


async def test_closing_the_relay_resets_what_is_open() -> None:
    async with Peer() as peer:
        async with Relay(peer.host, peer.port, DELAY) as relay:
            reader, writer = await asyncio.open_connection(relay.host, relay.port)
            assert (await reader.readline())[:3] == b"220"
            # This one is not even through.
            _, other = await asyncio.open_connection(relay.host, relay.port)
        for each in (writer, other):
            each.close()
            await asyncio.gather(each.wait_closed(), return_exceptions=True)


async def test_the_delay_is_there() -> None:
    """The way there and the way back, by the loop's own clock: a bound from below alone."""
    async with Peer() as peer, through(peer, Relay(peer.host, peer.port, 0.02)) as sock:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await loop.sock_sendall(sock, b"NOOP\r\n")
        data = b""
        while data.count(b"\r\n") < 2:
            data += await read(sock)
        assert data == b"220 peer.example ESMTP\r\n250 2.0.0 Ok\r\n"
        assert loop.time() - begun >= 0.035  # uvloop's clock is rounded to milliseconds


async def test_command_line() -> None:
    async with Peer() as peer:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "tests.support.delay_relay",
                "--to",
                f"{peer.host}:{peer.port}",
                "--delay",
                "0.001",
            ),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
            assert re.fullmatch(rb"\d+\n", line)
            async with client_for(peer, port=int(line)) as client:
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            process.send_signal(signal.SIGINT)
            _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
            assert errors == b""
            assert process.returncode == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert peer.conversations[0].bodies == [WIRE]
