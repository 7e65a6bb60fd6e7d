"""Sending mail from programs without asyncio: :func:`send`, :func:`send_many` and a pool that threads share.

All I/O is done by one event loop, in a thread of its own that starts with the first message, so that the
connections of a :class:`SMTPPool` outlive each call. A process that is forked has a thread, and connections,
of its own. When the interpreter exits the connections are closed, and what is still on its way a second later
is given up.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterable
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from . import api, pool
from ._blocking.send_many import iterate
from ._blocking.thread import forget, loop_thread, running
from ._client.connection import Timeout
from ._client.error_context import gives_up
from ._client.results import SendResult
from ._client.send_many import SendMany
from ._pool.states import Condition
from ._sasl.secret import conceal
from .pool import PoolStats
from .typing import Default

__all__ = ("SMTPPool", "send", "send_many")

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")
Self = TypeVar("Self", bound="SMTPPool")

#: How long the exit of the interpreter waits for messages on their way, in seconds.
_EXIT_TIMEOUT: Final = 1.0

_pools: weakref.WeakSet[SMTPPool] = weakref.WeakSet()
#: What a forked process has from the one before: to be left alone, so also by the garbage collector.
_inherited: list[object] = []


def _after_fork() -> None:
    _inherited.append(running())
    forget()
    for each in _pools:
        _inherited.append(each._pool)
        each._renew()


def _at_exit() -> None:
    async def close(pools: list[pool.SMTPPool]) -> None:
        await asyncio.gather(*(each.aclose(_EXIT_TIMEOUT) for each in pools), return_exceptions=True)

    thread = running()
    if thread is not None:
        thread.run(close([each._pool for each in _pools]))


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def _blocking(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for name in ("password", "proxy"):
            if name in kwargs:
                kwargs[name] = conceal(kwargs[name])
        return loop_thread().run(function(*args, **kwargs))

    return run


def _of_pool(
    method: Callable[Concatenate[pool.SMTPPool, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[SMTPPool, P], T]:
    @functools.wraps(method)
    def run(self: SMTPPool, /, *args: P.args, **kwargs: P.kwargs) -> T:
        # By its name: it may have been instrumented since.
        work: Coroutine[Any, Any, T] = getattr(self._pool, method.__name__)(*args, **kwargs)
        return loop_thread().run(work)

    return run


send = _blocking(api.send)


class SMTPPool:
    """Connections to one server, shared by any number of threads.

    >>> with aiosmtplib.blocking.SMTPPool("localhost", port=1025, max_connections=4) as pool:
    ...     pool.send_message(message)

    It is :class:`aiosmtplib.SMTPPool` for programs without asyncio, with the same options and errors, and
    may be made before a process forks: each process has connections of its own.

    Hooks, sources of tokens and streamed content are called in the thread of the event loop: there,
    a method of this class is a :exc:`RuntimeError`.

    :param hostname: name or address of the server; ``None`` means ``"localhost"``
    :param port: port of the server; by default 465 with ``use_tls``, 587 with ``start_tls=True``, else 25
    :param options: those of :class:`aiosmtplib.SMTPPool`
    :raises ValueError: if options exclude each other, or a number is not positive
    :raises TypeError: if an option is unknown or of the wrong type
    """

    def __init__(self, hostname: str | None = None, port: int | None = None, **options: Any) -> None:
        options["password"] = conceal(options.get("password"))
        options["proxy"] = conceal(options.get("proxy"))
        self._make = functools.partial(pool.SMTPPool, hostname, port, **options)
        self._pool = self._make()
        _pools.add(self)

    def _renew(self) -> None:
        """Forget the connections, and remember whether the pool was closed."""
        closing = self._pool._manager.state.closing
        self._pool = self._make()
        self._pool._manager.state.closing = closing

    def __repr__(self) -> str:
        return f"<{__name__}.{repr(self._pool)[1:]}" if "_pool" in vars(self) else "<SMTPPool, not set up>"

    def stats(self) -> PoolStats:
        """The numbers of this moment: connections, callers that wait, and what became of the messages."""
        return self._pool.stats()

    send = _of_pool(pool.SMTPPool.send)
    sendmail = _of_pool(pool.SMTPPool.sendmail)
    send_message = _of_pool(pool.SMTPPool.send_message)
    verify = _of_pool(pool.SMTPPool.verify)

    def send_many(
        self, messages: Iterable[Item], *, window: int = 256, timeout: Timeout = Default.token
    ) -> Generator[SendResult[Item], None, None]:
        """Send many messages over as many connections as there may be.

        >>> for result in pool.send_many(messages):
        ...     print(result.index, result.delivery.value)

        The messages are pulled in the thread of the caller. Whoever leaves the loop early, or calls ``close``
        on the iterator, waits for what is in flight; nothing else is sent.

        :param messages: message objects or :class:`Envelope`
        :param window: at most this many messages are pulled and not yet handed back
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the pool's
        :return: an iterator of :class:`SendResult`, in the order in which they come
        :raises TypeError: if ``messages`` is a single one or asynchronous, or ``window`` is no number
        :raises ValueError: if ``window`` is less than 1
        """
        if hasattr(messages, "__aiter__"):
            raise TypeError("aiosmtplib.blocking takes an iterable of messages, not an asynchronous one")
        self._pool.send_many(messages, window=window, timeout=timeout)  # raises what there is to raise

        def begin(source: Any) -> SendMany[Item]:
            return self._pool.send_many(source, window=window, timeout=timeout)

        return iterate(loop_thread, begin, messages, window)

    def open(self) -> None:
        """Make sure that the server can be reached: open a connection, unless there is one.

        :raises SMTPServerDisconnected: if the pool is closed
        :raises SMTPException: whatever :meth:`SMTP.connect` raises
        """
        stats = self.stats()
        if not (stats.idle or stats.busy):
            loop_thread().run(self._open(self._pool))

    @staticmethod
    async def _open(pool: pool.SMTPPool) -> None:
        manager = pool._manager
        manager.release(await manager.acquire(), Condition.KEEP)

    def close(self, timeout: float | None = None) -> None:
        """Take no more messages, finish those that were given to the pool, and close all connections.

        :param timeout: as in :meth:`aiosmtplib.SMTPPool.aclose`
        """
        loop_thread().run(self._pool.aclose(timeout))

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(0 if gives_up(exc) else None)


def send_many(
    messages: Iterable[Item], *, window: int = 256, **options: Any
) -> Generator[SendResult[Item], None, None]:
    """Send many messages over a pool of connections, and close them.

    >>> for result in aiosmtplib.blocking.send_many(messages, hostname="127.0.0.1", port=1025):
    ...     print(result.index, result.delivery.value)

    :param messages: as in :meth:`SMTPPool.send_many`
    :param window: at most this many messages are pulled and not yet handed back
    :param options: those of :class:`aiosmtplib.SMTPPool`
    :return: an iterator of :class:`SendResult`, in the order in which they come
    :raises TypeError: if an option is unknown or of the wrong type, or ``messages`` is a single one
    :raises ValueError: if options exclude each other, or a number is not positive
    """
    options["password"] = conceal(options.get("password"))
    options["proxy"] = conceal(options.get("proxy"))
    pool = SMTPPool(**options)
    results = pool.send_many(messages, window=window)

    def run() -> Generator[SendResult[Item], None, None]:
        with pool:
            yield from results

    return run()
