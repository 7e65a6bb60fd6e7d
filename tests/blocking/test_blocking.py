"""``aiosmtplib.blocking``: what ``send``, ``send_many`` and the pool do in threads, as they do in tasks."""

import asyncio
import contextvars
import gc
import inspect
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Envelope, blocking
from aiosmtplib._blocking.thread import Call, Flag, loop_thread

from ..support import actions
from ..support.scripted_server import CHUNKING, Peer
from ..support.threaded_servers import Serve, in_thread, serve_embedded

__all__ = ("serve_embedded",)

ME, YOU, TEXT = "me@example.com", "you@example.com", "Subject: Hi\n\nHi!\n"


@pytest.fixture
def peer() -> Iterator[Peer]:
    with in_thread(Peer(extensions=CHUNKING)) as peer:
        yield peer


def pool_to(server: Any, **options: Any) -> blocking.SMTPPool:
    return blocking.SMTPPool(server.host, port=server.port, local_hostname="me", **options)


def test_one_message(serve: Serve) -> None:
    server = serve()
    refused, reply = blocking.send(
        TEXT, ME, [YOU], hostname=server.host, port=server.port, local_hostname="me"
    )
    assert (refused, reply) == ({}, "2.0.0 Ok")
    assert [(each.sender, each.recipients) for each in server.messages] == [(ME, (YOU,))]


def test_the_pool_sends_what_the_asynchronous_one_does(serve: Serve) -> None:
    server = serve()
    message = EmailMessage()
    message["From"], message["To"] = ME, YOU
    with pool_to(server) as pool:
        assert pool.verify().port == server.port
        pool.send(message)
        pool.send_message(message)
        assert pool.sendmail(ME, YOU, TEXT) == ({}, "2.0.0 Ok")
        assert pool.stats().sent == 3
        assert f" on port {server.port}: 1 idle" in repr(pool)
    assert [each.recipients for each in server.messages] == [(YOU,)] * 3


def test_threads_share_the_connections(peer: Peer) -> None:
    with pool_to(peer, max_connections=2) as pool:

        def send(number: int) -> None:
            pool.sendmail(ME, f"{number}@example.com", TEXT)

        with ThreadPoolExecutor(10) as threads:
            list(threads.map(send, range(100)))
        assert pool.stats().sent == 100
    assert {each.recipients[0] for each in peer.accepted} == {b"%d@example.com" % n for n in range(100)}
    assert 1 <= len(peer.conversations) <= 2


def test_errors_are_those_of_the_asynchronous_pool(serve: Serve) -> None:
    with pool_to(serve(refuse=[YOU])) as pool, pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
        pool.sendmail(ME, YOU, TEXT)
    assert caught.value.delivery is aiosmtplib.Delivery.REJECTED


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"port": 0}, ValueError),
        ({"max_connections": 0}, ValueError),
        ({"use_tls": "no"}, TypeError),
        ({"unheard_of": 1}, TypeError),
    ],
)
def test_options_are_checked_at_once(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        blocking.SMTPPool(**options)
    with pytest.raises(error):
        blocking.send_many([], **options)


async def _messages() -> Any:
    yield TEXT


@pytest.mark.parametrize(
    ("messages", "window", "error"),
    [
        (_messages(), 1, TypeError),
        (TEXT, 1, TypeError),
        ([], 0, ValueError),
        ([], None, TypeError),
        (1, 1, TypeError),
    ],
)
def test_arguments_of_send_many_are_checked_at_once(
    messages: Any, window: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        blocking.SMTPPool().send_many(messages, window=window)


def test_a_closed_pool_takes_nothing(peer: Peer) -> None:
    pool = pool_to(peer)
    pool.close()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected, match="The pool is closed"):
        pool.sendmail(ME, YOU, TEXT)
    assert not peer.conversations


def test_opening_a_pool_makes_sure_of_the_server(peer: Peer) -> None:
    with pool_to(peer) as pool:
        pool.open()
        pool.open()
        assert pool.stats().idle == len(peer.conversations) == 1
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        pool.open()


def test_secrets_are_in_no_repr_and_no_traceback(peer: Peer) -> None:
    pool = pool_to(peer, username="user", password="open sesame")
    with pytest.raises(aiosmtplib.SMTPException) as caught:
        pool.sendmail(ME, YOU, TEXT)
    with pytest.raises(aiosmtplib.SMTPException) as other:
        blocking.send(
            TEXT, ME, YOU, hostname="127.0.0.1", port=peer.port, username="user", password="open sesame"
        )
    for error in (caught, other):
        frames = [entry.frame for entry in error.traceback if "aiosmtplib" in str(entry.path.parent.name)]
        assert frames
        assert "sesame" not in str([frame.f_locals for frame in frames])
    assert "sesame" not in repr(pool) + repr(vars(pool))


def test_a_pool_that_could_not_be_made_has_a_repr() -> None:
    assert repr(object.__new__(blocking.SMTPPool)) == "<SMTPPool, not set up>"


# -- many --------------------------------------------------------------------------------------------


def envelopes(number: int) -> list[Envelope]:
    return [Envelope(ME, f"{each}@example.com", TEXT) for each in range(number)]


def test_many_messages(peer: Peer) -> None:
    messages = envelopes(300)
    results = blocking.send_many(
        iter(messages), hostname=peer.host, port=peer.port, local_hostname="me", window=100
    )
    found = {result.index: result for result in results}
    assert [found[index].item for index in range(300)] == messages
    assert all(result.ok for result in found.values())
    assert len(peer.accepted) == 300


def test_messages_are_pulled_in_the_thread_of_the_caller_and_within_the_window(peer: Peer) -> None:
    pulled = 0

    def messages() -> Iterator[Envelope]:
        nonlocal pulled
        for each in envelopes(100):
            assert threading.current_thread() is threading.main_thread()
            pulled += 1
            yield each

    with pool_to(peer) as pool:
        for done, _ in enumerate(pool.send_many(messages(), window=5)):
            assert pulled <= done + 5
    assert pulled == 100


def test_what_the_source_raises_comes_after_the_results(peer: Peer) -> None:
    def messages() -> Iterator[Envelope]:
        yield from envelopes(3)
        raise LookupError("no more")

    found = []
    with pool_to(peer) as pool, pytest.raises(LookupError, match="no more"):
        for result in pool.send_many(messages()):
            found.append(result.ok)
    assert found == [True] * 3


def test_who_leaves_early_waits_for_what_is_in_flight(peer: Peer) -> None:
    with pool_to(peer) as pool:
        results = pool.send_many(iter(envelopes(1000)), window=10)
        assert next(results).ok
        results.close()
        assert pool.stats().busy == 0
        assert pool.stats().sent == len(peer.accepted) < 1000
        pool.sendmail(ME, YOU, TEXT)


def test_results_that_nobody_asks_for_send_nothing(peer: Peer) -> None:
    with pool_to(peer) as pool:
        pool.send_many(envelopes(1))
    gc.collect()
    assert not peer.conversations


def test_a_lost_server_fails_each_message() -> None:
    with in_thread(Peer()) as peer:
        pass
    found = [result.error for result in blocking.send_many(envelopes(3), hostname=peer.host, port=peer.port)]
    assert [type(error) for error in found] == [aiosmtplib.SMTPConnectError] * 3


# -- the thread --------------------------------------------------------------------------------------


def test_content_is_read_in_the_context_of_the_caller_and_cannot_wait_for_the_pool(peer: Peer) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")
    seen = []

    def content() -> Iterator[bytes]:
        seen.append(variable.get())
        yield b"Subject: Hi\n\n"
        for use in (lambda: pool.sendmail(ME, YOU, TEXT), lambda: next(pool.send_many(envelopes(1)))):
            with pytest.raises(RuntimeError, match="would wait for itself"):
                use()

    with pool_to(peer) as pool:
        pool.sendmail(ME, YOU, content())
    assert seen == ["mine"]
    assert len(peer.accepted) == 1


def test_results_that_are_left_in_the_thread_of_the_loop_are_not_waited_for(peer: Peer) -> None:
    with pool_to(peer) as pool:
        results = pool.send_many(iter(envelopes(1000)), window=10)
        assert next(results).ok

        def content() -> Iterator[bytes]:
            yield b"Subject: Hi\n\n"
            results.close()  # as the garbage collector does in whatever thread it runs

        pool.sendmail(ME, YOU, content())
    assert len(peer.accepted) < 1000


def test_a_call_that_was_interrupted_before_it_began_is_closed() -> None:
    async def work() -> None:
        raise AssertionError

    coroutine = work()
    loop_thread().cancel(Call(coroutine, Flag()))
    loop_thread().run(asyncio.sleep(0))
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_what_ends_a_program_ends_the_call_and_not_the_thread(peer: Peer) -> None:
    def content() -> Iterator[bytes]:
        yield b"Subject: Hi\n\n"
        raise SystemExit(3)

    with pool_to(peer) as pool:
        with pytest.raises(SystemExit):
            pool.sendmail(ME, YOU, content())
        assert pool.sendmail(ME, YOU, TEXT)[0] == {}


def interrupt(conversation: Any) -> Any:
    os.kill(os.getpid(), signal.SIGINT)
    return actions.silence(conversation)


@pytest.mark.skipif(os.name == "nt", reason="a signal cannot be sent to a process there")
@pytest.mark.parametrize("many", [False, True])
def test_an_interrupt_cancels_the_work(many: bool, caplog: pytest.LogCaptureFixture) -> None:
    with in_thread(Peer({".": actions.in_turn(interrupt, "250 Ok")})) as peer:
        pool = pool_to(peer)
        with pytest.raises(KeyboardInterrupt):
            if many:
                list(pool.send_many(envelopes(1)))
            else:
                pool.sendmail(ME, YOU, TEXT)
        # The connection is not used any more: the next message goes over another.
        pool.sendmail(ME, YOU, TEXT)
        assert pool.stats().sent == 1
        assert len(peer.conversations) == 2
        pool.close(0)  # one of many that is with the server waits for its reply
    gc.collect()
    assert not caplog.records


def test_the_end_of_a_block_that_was_interrupted_waits_for_nothing() -> None:
    with in_thread(Peer({"QUIT": actions.silence})) as peer:
        pool = pool_to(peer)
        with pytest.raises(KeyboardInterrupt), pool:
            pool.sendmail(ME, YOU, TEXT)
            raise KeyboardInterrupt
    assert pool.stats().idle == pool.stats().busy == 0
