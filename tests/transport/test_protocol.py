"""``aiosmtplib.protocol`` driven by hand, as programs do that bring their own transport."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import protocol as module
from aiosmtplib.protocol import FlowControlMixin, SMTPProtocol

from ..support import certs
from ..support.actions import in_turn, silence
from ..support.scripted_server import PATIENCE, Peer

SOON = 0.02


class CommandObserver(asyncio.Transport):
    """A transport without a network: keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.buffered = 0
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def writelines(self, list_of_data: Any) -> None:
        self.written += b"".join(list_of_data)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


async def turns() -> None:
    """Let the event loop run everything that is ready, and what that makes ready."""
    for _ in range(100):
        await asyncio.sleep(0)


def wired() -> tuple[SMTPProtocol, CommandObserver]:
    protocol, wire = SMTPProtocol(), CommandObserver()
    protocol.connection_made(wire)
    return protocol, wire


async def open_to(peer: Peer) -> SMTPProtocol:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(SMTPProtocol, peer.host, peer.port)
    return protocol


async def close(protocol: SMTPProtocol, peer: Peer) -> None:
    if protocol.transport is not None:
        protocol.transport.close()
    await peer.hung_up()


def test_names() -> None:
    assert issubclass(SMTPProtocol, FlowControlMixin)
    assert issubclass(SMTPProtocol, asyncio.Protocol)
    assert module.MAX_LINE_LENGTH == 8192
    assert module.MAX_RESPONSE_LENGTH == 4 * module.MAX_LINE_LENGTH


async def test_over_a_real_connection() -> None:
    async with Peer() as peer:
        protocol = await open_to(peer)
        assert protocol.is_connected
        assert await protocol.read_response(timeout=PATIENCE) == (220, "peer.example ESMTP")
        assert (await protocol.execute_command(b"EHLO", b"me.example", timeout=PATIENCE)).code == 250
        assert (await protocol.execute_command(b"NOOP")).code == 250
        protocol.write(b"VRFY b\r\n")
        assert (await protocol.read_response(timeout=PATIENCE)).code == 252
        reply = await protocol.execute_data_command(b"hi\n.x\n", timeout=PATIENCE)
        assert reply == (250, "2.0.0 Accepted")
        assert peer.conversations[0].bodies == [b"hi\r\n..x\r\n.\r\n"]
        assert peer.commands == [b"EHLO me.example", b"NOOP", b"VRFY b", b"DATA"]
        await close(protocol, peer)


async def test_before_a_connection_is_made() -> None:
    protocol = SMTPProtocol()
    assert not protocol.is_connected
    assert protocol.transport is None
    for call in (
        protocol.read_response(timeout=SOON),
        protocol.execute_command(b"NOOP", timeout=SOON),
        protocol.execute_data_command(b"x", timeout=SOON),
    ):
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await call
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        protocol.write(b"NOOP\r\n")


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"220 hi\r\n", (220, "hi")),
        (b"220-a\r\n220 b\r\n", (220, "a\nb")),
        (b"220\r\n", (220, "")),
        (b"220-\r\n220-x\r\n220\r\n", (220, "\nx\n")),
        (b"220 hi\n", (220, "hi")),
        (b"220  two blanks \r\n", (220, " two blanks ")),
    ],
)
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "dripped"])
async def test_reply(data: bytes, reply: tuple[int, str], pieces: bool) -> None:
    protocol, _ = wired()
    for chunk in [data[i : i + 1] for i in range(len(data))] if pieces else [data]:
        protocol.data_received(chunk)
    response = await protocol.read_response(timeout=PATIENCE)
    assert (response.code, response.message.strip()) == (reply[0], reply[1].strip())


async def test_reply_that_comes_after_it_is_awaited() -> None:
    protocol, wire = wired()
    task = asyncio.ensure_future(protocol.execute_command(b"NOOP", b"a b", timeout=PATIENCE))
    await turns()
    assert wire.written == b"NOOP a b\r\n"
    protocol.data_received(b"250-a\r\n25")
    protocol.data_received(b"0 b\r\n")
    assert await task == (250, "a\nb")


@pytest.mark.parametrize(
    "data", [b"xyz\r\n", b"\r\n", b"22 hi\r\n", b"220-a\r\n250 b\r\n", b"\xb2\xb2\xb0 hi\r\n"]
)
async def test_malformed_reply(data: bytes) -> None:
    protocol, _ = wired()
    protocol.data_received(data)
    with pytest.raises(aiosmtplib.SMTPResponseException, match=r"Malformed SMTP response line: ") as caught:
        await protocol.read_response(timeout=PATIENCE)
    assert caught.value.code == -1


@pytest.mark.parametrize(
    "data",
    [
        b"220 " + b"x" * 8187 + b"\r\n",
        b"220 " + b"x" * 8190,
        b"220-" + b"x" * 8187 + b"\r\n",
        (b"220-" + b"x" * 1000 + b"\r\n") * 33 + b"220 x\r\n",
    ],
)
async def test_reply_that_is_too_long(data: bytes) -> None:
    protocol, _ = wired()
    protocol.data_received(data)
    with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
        await protocol.read_response(timeout=PATIENCE)
    assert (caught.value.code, caught.value.message) == (-1, "Response too long")


async def test_longest_line_that_is_taken() -> None:
    protocol, _ = wired()
    protocol.data_received(b"220 " + b"x" * 8186 + b"\r\n")
    assert len((await protocol.read_response(timeout=PATIENCE)).message) == 8186


async def test_limits_are_read_when_a_reply_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol, _ = wired()
    monkeypatch.setattr(module, "MAX_LINE_LENGTH", 10)
    protocol.data_received(b"220 0123456\r\n")
    with pytest.raises(aiosmtplib.SMTPResponseException, match="Response too long"):
        await protocol.read_response(timeout=PATIENCE)
    monkeypatch.setattr(module, "MAX_LINE_LENGTH", 100)
    monkeypatch.setattr(module, "MAX_RESPONSE_LENGTH", 20)
    protocol, _ = wired()
    protocol.data_received(b"220-01234\r\n220-56789\r\n220 x\r\n")
    with pytest.raises(aiosmtplib.SMTPResponseException, match="Response too long"):
        await protocol.read_response(timeout=PATIENCE)
    protocol, _ = wired()
    protocol.data_received(b"220-0\r\n220 1\r\n")
    assert await protocol.read_response(timeout=PATIENCE) == (220, "0\n1")


async def test_limits_hold_for_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE_LENGTH", 40)
    async with Peer({"NOOP": in_turn("250 " + "x" * 34, "250 " + "x" * 35)}) as peer:
        client = aiosmtplib.SMTP(hostname=peer.host, port=peer.port, local_hostname="me", timeout=PATIENCE)
        await client.connect()
        assert (await client.noop()).message == "x" * 34
        with pytest.raises(aiosmtplib.SMTPResponseException, match="Response too long"):
            await client.noop()
        assert not client.is_connected
        await peer.hung_up()


@pytest.mark.parametrize(
    ("lose", "text"),
    [
        (lambda protocol: protocol.eof_received(), "Unexpected EOF received"),
        (lambda protocol: protocol.connection_lost(None), "Connection lost"),
        (lambda protocol: protocol.connection_lost(ConnectionResetError("reset")), "Connection lost"),
    ],
)
async def test_loss(lose: Callable[[SMTPProtocol], Any], text: str) -> None:
    protocol, _ = wired()
    task = asyncio.ensure_future(protocol.read_response(timeout=PATIENCE))
    await asyncio.sleep(0)
    lose(protocol)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected, match=f"^{text}$"):
        await task
    protocol, _ = wired()
    lose(protocol)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await protocol.read_response(timeout=PATIENCE)


@pytest.mark.parametrize("timeout", [0, SOON])
async def test_timeout(timeout: float) -> None:
    async with Peer({"NOOP": silence}) as peer:
        protocol = await open_to(peer)
        await protocol.read_response(timeout=PATIENCE)
        with pytest.raises(aiosmtplib.SMTPReadTimeoutError, match=r"^Timed out waiting for server response$"):
            await protocol.execute_command(b"NOOP", timeout=timeout)
        await close(protocol, peer)


@pytest.mark.parametrize("argument", [b"a\r\nb", b"\n", b"\r", b"\0", b"\t", b"\x7f", b"\x1b"])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_control_characters_are_refused(argument: bytes, place: int) -> None:
    protocol, wire = wired()
    arguments = [b"MAIL", b"FROM:<a@example.com>", b"SIZE=1"]
    arguments[place] += argument
    with pytest.raises(ValueError, match="control characters are prohibited"):
        await protocol.execute_command(*arguments, timeout=SOON)
    assert wire.written == b""


async def test_data_command_refused() -> None:
    async with Peer({"DATA": in_turn("550 no", "354 yes"), ".": "552 too much"}) as peer:
        protocol = await open_to(peer)
        await protocol.read_response(timeout=PATIENCE)
        for reply in ((550, "no"), (552, "too much")):
            with pytest.raises(aiosmtplib.SMTPDataError) as caught:
                await protocol.execute_data_command(b"x", timeout=PATIENCE)
            assert caught.value.args == reply
        assert peer.conversations[0].bodies == [b"x\r\n.\r\n"]
        await close(protocol, peer)


async def test_start_tls() -> None:
    async with Peer(tls=certs.server_context()) as peer:
        protocol = await open_to(peer)
        await protocol.read_response(timeout=PATIENCE)
        plain = protocol.transport
        reply = await protocol.start_tls(
            certs.client_context(), server_hostname="localhost", timeout=PATIENCE
        )
        assert reply == (220, "2.0.0 Ready")
        assert protocol.transport is not plain
        assert protocol.transport is not None
        assert protocol.transport.get_extra_info("ssl_object") is not None
        assert (await protocol.execute_command(b"NOOP", timeout=PATIENCE)).code == 250
        await close(protocol, peer)


@pytest.mark.parametrize(
    ("interruption", "expected"),
    [
        (ConnectionResetError, aiosmtplib.SMTPServerDisconnected),
        (ConnectionAbortedError, aiosmtplib.SMTPTimeoutError),
    ],
)
async def test_start_tls_that_the_event_loop_breaks_off(
    monkeypatch: pytest.MonkeyPatch, interruption: type[OSError], expected: type[Exception]
) -> None:
    """asyncio aborts a handshake after a minute, which no test can wait for."""

    async def broken(*args: Any, **kwargs: Any) -> None:
        raise interruption("enough")

    async with Peer(tls=certs.server_context()) as peer:
        protocol = await open_to(peer)
        await protocol.read_response(timeout=PATIENCE)
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "start_tls", broken)
            with pytest.raises(expected) as caught:
                await protocol.start_tls(certs.client_context(), server_hostname="localhost")
        assert isinstance(caught.value.__cause__, interruption)
        assert not protocol.is_connected
        await peer.hung_up()


async def test_a_transport_for_reading_alone() -> None:
    class Reading(asyncio.ReadTransport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return default

        def is_closing(self) -> bool:
            return False

    protocol = SMTPProtocol()
    protocol.connection_made(Reading())
    with pytest.raises(RuntimeError, match="does not support writing"):
        protocol.write(b"NOOP\r\n")


async def test_start_tls_refused() -> None:
    async with Peer({"STARTTLS": "454 later"}) as peer:
        protocol = await open_to(peer)
        await protocol.read_response(timeout=PATIENCE)
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await protocol.start_tls(certs.client_context(), server_hostname="localhost", timeout=PATIENCE)
        assert caught.value.code == 454
        assert (await protocol.execute_command(b"NOOP", timeout=PATIENCE)).code == 250
        await close(protocol, peer)


async def test_a_command_behind_half_a_greeting() -> None:
    """What comes then may be the rest of the greeting, and no reply."""
    protocol, _ = wired()
    protocol.data_received(b"22")
    with pytest.raises(aiosmtplib.SMTPServerDisconnected, match="half a reply"):
        await protocol.execute_command(b"NOOP", timeout=PATIENCE)
    assert not protocol.is_connected


async def test_transport_can_be_exchanged() -> None:
    protocol, first = wired()
    second = CommandObserver()
    protocol.transport = second
    protocol.write(b"NOOP\r\n")
    assert first.written == b""
    assert second.written == b"NOOP\r\n"
    protocol.data_received(b"250 Ok\r\n")
    assert await protocol.read_response(timeout=PATIENCE) == (250, "Ok")


async def test_what_comes_before_the_handshake_ends_the_connection() -> None:
    """As another packet, which the event loop hands on before the task goes on (RFC 3207 section 6)."""
    protocol, wire = wired()
    task = asyncio.ensure_future(protocol.start_tls(certs.client_context(), timeout=PATIENCE))
    await turns()
    protocol.data_received(b"220 go\r\n")
    protocol.data_received(b"250 injected\r\n")
    with pytest.raises(aiosmtplib.SMTPResponseException, match="between its reply to STARTTLS and the TLS"):
        await task
    assert wire.closed and not protocol.is_connected


async def test_a_connection_that_is_lost_before_the_handshake() -> None:
    """Just after the reply, so that there is nothing any more to begin it on."""
    protocol, _ = wired()
    task = asyncio.ensure_future(protocol.start_tls(certs.client_context(), timeout=PATIENCE))
    await turns()
    protocol.data_received(b"220 go\r\n")
    protocol.connection_lost(None)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected, match=r"^Connection lost$"):
        await task
    assert protocol.transport is None


async def test_what_goes_just_before_the_time_is_over_counts() -> None:
    """Between two looks. Then nothing goes any more."""
    protocol, wire = wired()
    task = asyncio.ensure_future(protocol.execute_data_command(b"x" * 100_000, timeout=PATIENCE))
    await turns()
    protocol.data_received(b"354 go\r\n")
    wire.buffered = 99_000
    protocol._on_timeout()
    await turns()
    assert not task.done()
    protocol._progress._look()
    protocol._on_timeout()
    with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
        await task


async def test_a_transport_that_pauses_holds_back_the_message() -> None:
    protocol, wire = wired()
    task = asyncio.ensure_future(protocol.execute_data_command(b"x" * 1_000_000, timeout=PATIENCE))
    await turns()
    protocol.pause_writing()
    protocol.data_received(b"354 go\r\n")
    await turns()
    held = len(wire.written)
    assert held < 1_000_000
    protocol.resume_writing()
    await turns()
    assert wire.written.endswith(b"x\r\n.\r\n")
    protocol.data_received(b"250 Kept\r\n")
    assert await task == (250, "Kept")
