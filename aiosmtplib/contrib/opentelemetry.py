"""Spans and metrics for OpenTelemetry: one span for each message, with its verdict.

Attributes follow the semantic conventions: ``server.address``, ``server.port``, ``network.protocol.name``,
``error.type``. What they have no name for begins with ``smtp.``.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

try:
    from opentelemetry import metrics, trace
except ModuleNotFoundError as error:
    from .extras import missing

    raise ImportError(missing("opentelemetry", "opentelemetry-api")) from error

from .. import __version__
from .._client.connector import host_and_port
from .._client.results import Envelope, delivery_of
from .._client.sending import Sending
from .._pool.sending import PoolSending
from .._trace.observer import CommandEvent, CommandHook
from ..pool import SMTPPool, server_of
from ..smtp import SMTP
from ..status import Delivery

__all__ = ("command_hook", "instrument", "uninstrument")

_NAME = "aiosmtplib"
#: Seconds, as the conventions advise for durations, and on to the ten minutes that a server may take.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)

#: Whether a method is called by another that has a span for the message already.
_within: contextvars.ContextVar[bool] = contextvars.ContextVar("aiosmtplib_within", default=False)
#: What was there before, by class and name.
_before: dict[tuple[type, str], Any] = {}


def instrument(tracer_provider: Any = None, meter_provider: Any = None) -> None:
    """Have a span, and a point of ``smtp.client.message.duration``, made of each message that is sent.

    The span is named ``send``. It is a child of the span in which a message is sent, has the attribute
    ``smtp.delivery`` (the verdict), and is an error if the message was not delivered. So it is with ``send``,
    and with ``sendmail`` and ``send_message`` of a client and of a pool. With ``send_many`` the span of a
    message ends when its result is handed out. To call this once more does nothing.

    :param tracer_provider: by default the global one
    :param meter_provider: by default the global one
    """
    if _before:
        return
    tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
    duration = metrics.get_meter(_NAME, __version__, meter_provider).create_histogram(
        "smtp.client.message.duration",
        "s",
        "From the call until what became of the message is known",
        explicit_bucket_boundaries_advisory=_BUCKETS,
    )

    def finish(span: trace.Span, began: int, attributes: dict[str, Any], error: BaseException | None) -> None:
        now = time.time_ns()
        verdict = Delivery.DELIVERED if error is None else delivery_of(error)
        if error is not None and not isinstance(error, Exception):  # it was cancelled, who knows when
            verdict = Delivery.UNKNOWN
        attributes = {**attributes, "smtp.delivery": verdict.value}
        if error is not None:
            attributes["error.type"] = type(error).__name__
            code = getattr(error, "code", None)
            if isinstance(code, int) and code > 0:
                attributes["smtp.reply.code"] = code
            span.set_status(trace.StatusCode.ERROR, type(error).__name__)
        span.set_attributes(attributes)
        span.end(now)
        duration.record((now - began) / 1e9, attributes)

    def single(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(method)
        async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
            if _within.get():
                return await method(self, *args, **kwargs)
            began, attributes = time.time_ns(), _attributes(self)
            error: BaseException | None = None
            token = _within.set(True)
            span = tracer.start_span("send", kind=trace.SpanKind.CLIENT, start_time=began)
            try:
                with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                    return await method(self, *args, **kwargs)
            except BaseException as raised:
                error = raised
                raise
            finally:
                _within.reset(token)
                finish(span, began, attributes, error)

        return send

    def many(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def send_many(self: Any, messages: Any, **kwargs: Any) -> Any:
            began: dict[int, int] = {}
            attributes, parent = _attributes(self), trace.set_span_in_context(trace.get_current_span())

            def finish_one(result: Any) -> None:
                start = began.pop(result.index)
                span = tracer.start_span("send", parent, trace.SpanKind.CLIENT, start_time=start)
                finish(span, start, attributes, result.error)

            results = method(self, _watched(messages, began), **kwargs)
            results.on_result = finish_one
            return results

        return send_many

    wrappers = {"sendmail": single, "send_message": single, "send_many": many}
    for owner, names in _INSTRUMENTED.items():
        for name in names:
            _before[owner, name] = vars(owner)[name]
            setattr(owner, name, wrappers[name](vars(owner)[name]))


#: Not SMTP.sendmail: one that is the program's own is called in place of what is quicker.
_INSTRUMENTED: dict[type, tuple[str, ...]] = {
    Sending: ("sendmail", "send_message"),
    SMTP: ("send_many",),
    PoolSending: ("sendmail", "send_message", "send_many"),
}


def _attributes(sender: Any) -> dict[str, Any]:
    host, port = server_of(sender) if isinstance(sender, SMTPPool) else host_and_port(sender)
    attributes: dict[str, Any] = {"network.protocol.name": "smtp"}
    if host is not None:
        attributes["server.address"] = host
    if port is not None:
        attributes["server.port"] = port
    return attributes


def _watched(messages: Any, began: dict[int, int]) -> Any:
    """The same messages, with the time noted when each is pulled, by its index."""
    if isinstance(messages, str | bytes | Envelope) or hasattr(messages, "get_all"):
        return messages  # a single one, which is refused

    numbers = itertools.count()

    async def pull_each() -> AsyncIterator[Any]:
        async for message in messages:
            began[next(numbers)] = time.time_ns()
            yield message

    def pull() -> Iterator[Any]:
        for message in source:
            began[next(numbers)] = time.time_ns()
            yield message

    if hasattr(messages, "__aiter__"):
        return pull_each()
    source = iter(messages)
    return pull()


def uninstrument() -> None:
    """Undo :func:`instrument`."""
    for (owner, name), before in _before.items():
        setattr(owner, name, before)
    _before.clear()


def command_hook(meter_provider: Any = None) -> CommandHook:
    """An ``on_command`` hook: a histogram ``smtp.client.command.duration`` and a counter ``smtp.client.io``.

    >>> pool = aiosmtplib.SMTPPool("localhost", 1025, on_command=command_hook())

    :param meter_provider: by default the global one
    """
    meter = metrics.get_meter(_NAME, __version__, meter_provider)
    duration = meter.create_histogram(
        "smtp.client.command.duration",
        "s",
        "From a command to its reply",
        explicit_bucket_boundaries_advisory=_BUCKETS,
    )
    octets = meter.create_counter("smtp.client.io", "By", "Octets before TLS")

    def on_command(event: CommandEvent) -> None:
        server: dict[str, Any] = {"network.protocol.name": "smtp"}
        if event.host is not None:
            server["server.address"] = event.host
        if event.port is not None:
            server["server.port"] = event.port
        attributes = {**server, "smtp.command": event.verb}
        if event.code is None:
            attributes["error.type"] = "no reply"
        else:
            attributes["smtp.reply.code"] = event.code
            if not 200 <= event.code < 400:
                attributes["error.type"] = str(event.code)
        duration.record(event.seconds, attributes)
        octets.add(event.written, {**server, "network.io.direction": "transmit"})
        octets.add(event.received, {**server, "network.io.direction": "receive"})

    return on_command
