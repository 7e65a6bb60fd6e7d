"""The async context manager, several tasks on one client, and what is left on the client afterwards."""

import asyncio
from typing import Any

import pytest

import aiosmtplib

from ..support.actions import cut, hold, in_turn, reset, silence
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, assert_closed, assert_usable, client_for, session
from ..support.scripted_server import PATIENCE, Peer


async def test_connects_and_quits() -> None:
    async with Peer() as peer:
        client = client_for(peer)
        async with client as entered:
            assert entered is client
            await client.noop()
        assert_closed(client)
        assert peer.verbs == ["EHLO", "NOOP", "QUIT"]
        async with client:
            pass
        assert peer.verbs == ["EHLO", "NOOP", "QUIT", "EHLO", "QUIT"]


async def test_entered_when_connected() -> None:
    async with Peer() as peer:
        client = client_for(peer)
        await client.connect()
        async with client:
            await client.noop()
        assert_closed(client)
        assert peer.verbs == ["EHLO", "NOOP", "QUIT"]


@pytest.mark.parametrize(
    ("error", "verbs"),
    [
        (RuntimeError("x"), ["EHLO", "QUIT"]),
        (aiosmtplib.SMTPServerDisconnected("x"), ["EHLO"]),
        (aiosmtplib.SMTPDataError(550, "x"), ["EHLO", "QUIT"]),
    ],
)
async def test_error_in_the_body(error: Exception, verbs: list[str]) -> None:
    async with Peer() as peer:
        client = client_for(peer)
        with pytest.raises(type(error)) as caught:
            async with client:
                raise error
        assert caught.value is error
        assert_closed(client)
        await peer.hung_up()
        assert peer.verbs == verbs
        await assert_usable(client, peer)


async def test_body_that_quits_or_closes() -> None:
    async with Peer() as peer:
        client = client_for(peer)
        async with client:
            await client.quit()
        async with client:
            client.close()
        assert_closed(client)
        await peer.hung_up()
        assert peer.verbs == ["EHLO", "QUIT", "EHLO"]


@pytest.mark.parametrize("action", ["421 bye", "500 no", "hello", cut, reset])
async def test_quit_that_fails_on_leaving(action: Any) -> None:
    async with Peer({"QUIT": in_turn(action, "221 bye")}) as peer:
        client = client_for(peer)
        async with client:
            pass
        assert_closed(client)
        await peer.hung_up()
        await assert_usable(client, peer)


async def test_quit_that_is_not_answered_on_leaving() -> None:
    async with Peer({"QUIT": silence}) as peer:
        client = client_for(peer)
        async with client:
            client.timeout = 0.05
        assert_closed(client)
        await peer.hung_up()


async def test_failed_connect_on_entering() -> None:
    async with Peer({"connect": in_turn("554 no", "554 no", "220 yes")}) as peer:
        client = client_for(peer)
        for _ in range(2):
            with pytest.raises(aiosmtplib.SMTPConnectResponseError):
                async with client:
                    raise AssertionError("must not be entered")
            assert_closed(client)
        await assert_usable(client, peer)


async def test_tasks_that_enter_one_client_take_turns() -> None:
    async with Peer() as peer:
        client = client_for(peer)

        async def use(number: int) -> None:
            async with client:
                await client.sendmail(SENDER, [f"{number}@example.com"], MESSAGE)

        await asyncio.wait_for(asyncio.gather(*(use(number) for number in range(5))), PATIENCE)
        assert_closed(client)
        await peer.hung_up()
        assert len(peer.conversations) == 5
        assert peer.verbs == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"] * 5
        assert sorted(accepted.recipients[0] for accepted in peer.accepted) == [
            b"%d@example.com" % n for n in range(5)
        ]


async def test_a_failure_of_one_task_does_not_stop_the_others() -> None:
    async with Peer({"connect": in_turn("220 hi", "554 no", cut, "220 hi")}) as peer:
        client = client_for(peer)

        async def use() -> None:
            async with client:
                await client.noop()

        results = await asyncio.wait_for(
            asyncio.gather(*(use() for _ in range(4)), return_exceptions=True), PATIENCE
        )
        assert sorted(type(result).__name__ for result in results) == [
            "NoneType",
            "NoneType",
            "SMTPConnectError",
            "SMTPConnectResponseError",
        ]
        assert_closed(client)


async def test_second_connect_waits_for_the_first_connection_to_end() -> None:
    async with Peer() as peer:
        client = client_for(peer)
        tasks = [asyncio.ensure_future(client.connect()) for _ in range(2)]
        done, pending = await asyncio.wait(tasks, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == len(pending) == 1
        await client.quit()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
        assert len(peer.conversations) == 2
        await client.quit()


async def test_commands_of_several_tasks_do_not_mix() -> None:
    async with Peer() as peer, session(peer) as client:
        messages = [
            client.sendmail(SENDER, [f"{number}@example.com"], b"%d" % number) for number in range(10)
        ]
        results = await asyncio.wait_for(asyncio.gather(*messages, client.vrfy("b"), client.noop()), PATIENCE)
        assert results[:10] == [({}, "2.0.0 Accepted")] * 10
        assert results[10:] == [(252, "2.0.0 Perhaps"), (250, "2.0.0 Ok")]
        assert {(a.recipients[0], a.content) for a in peer.accepted} == {
            (b"%d@example.com" % number, b"%d\r\n" % number) for number in range(10)
        }


async def test_close_while_a_command_waits() -> None:
    async with Peer({"NOOP": silence}) as peer:
        client = client_for(peer)
        await client.connect()
        task = asyncio.ensure_future(client.noop())
        await peer.seen("NOOP")
        client.close()
        assert_closed(client)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await asyncio.wait_for(task, PATIENCE)
        await peer.hung_up()


async def test_close_is_idempotent_and_works_unconnected() -> None:
    client = aiosmtplib.SMTP()
    client.close()
    client.close()
    assert_closed(client)


async def test_server_that_closes_an_idle_connection() -> None:
    async with Peer() as peer:
        client = client_for(peer)
        await client.connect()
        peer.conversations[0].finish()
        await peer.hung_up()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.noop()
        assert_closed(client)
        await assert_usable(client, peer)


async def test_reply_that_is_held_back() -> None:
    go = asyncio.Event()
    async with Peer({"NOOP": hold(go, "250 at last")}) as peer, session(peer) as client:
        task = asyncio.ensure_future(client.noop())
        await peer.seen("NOOP")
        assert not task.done()
        go.set()
        assert await task == (250, "at last")


async def test_client_without_a_reference_is_collected_quietly() -> None:
    async with Peer() as peer:
        async with client_for(peer) as client:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        del client
        await peer.hung_up()
