"""Spans and metrics for OpenTelemetry: one span for each message, whatever sends it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, Envelope, SMTPPool, blocking

from ..support import actions
from ..support.clients import email_message, options_for
from ..support.scripted_server import CHUNKING, PIPELINING, Peer
from ..support.threaded_servers import in_thread

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from aiosmtplib.contrib.opentelemetry import command_hook, instrument, uninstrument

TEXT = "Subject: Hi\n\nHi!\n"
ME, YOU = "me@example.com", "you@example.com"


class Telemetry:
    """What was recorded."""

    def __init__(self) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self._reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))

    @property
    def spans(self) -> Any:
        return self._spans.get_finished_spans()

    def points(self, name: str) -> Any:
        data = self._reader.get_metrics_data()
        (scope,) = data.resource_metrics[0].scope_metrics
        return next(metric for metric in scope.metrics if metric.name == name).data.data_points


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    instrument(telemetry.tracers, telemetry.meters)
    instrument()  # does nothing
    yield telemetry
    uninstrument()
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()


async def test_one_span_for_each_message(telemetry: Telemetry) -> None:
    async with Peer(extensions=CHUNKING) as peer:
        options = options_for(peer)
        await aiosmtplib.send(email_message(), **options)
        async with SMTP(**options) as client, SMTPPool(**options) as pool:
            for sender in (client, pool):
                await sender.send_message(email_message())
                await sender.sendmail(ME, YOU, TEXT)
            await pool.send(email_message())
    spans = telemetry.spans
    assert [span.name for span in spans] == ["send"] * 6
    for span in spans:
        assert span.kind is SpanKind.CLIENT
        assert span.status.is_unset
        assert dict(span.attributes) == {
            "network.protocol.name": "smtp",
            "server.address": "127.0.0.1",
            "server.port": peer.port,
            "smtp.delivery": "delivered",
        }
    (point,) = telemetry.points("smtp.client.message.duration")
    assert point.count == 6


async def several() -> AsyncIterator[Envelope]:
    for _ in range(3):
        yield Envelope(ME, YOU, TEXT)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_many_messages(telemetry: Telemetry, asynchronous: bool) -> None:
    peer = Peer({"RCPT": actions.in_turn("250 Ok", "550 5.1.1 No", "250 Ok")}, extensions=PIPELINING)
    async with peer, SMTP(**options_for(peer)) as client:
        with telemetry.tracers.get_tracer("test").start_as_current_span("outer"):
            messages: Any = several() if asynchronous else (Envelope(ME, YOU, TEXT) for _ in range(3))
            async for _ in client.send_many(messages):
                pass
    *spans, outer = telemetry.spans
    assert [span.attributes["smtp.delivery"] for span in spans] == ["delivered", "rejected", "delivered"]
    assert {span.parent.span_id for span in spans} == {outer.context.span_id}
    assert all(outer.start_time <= span.start_time <= span.end_time <= outer.end_time for span in spans)
    with pytest.raises(TypeError, match="not a single one"):
        client.send_many("text")


async def test_errors(telemetry: Telemetry) -> None:
    async with Peer({".": "554 5.7.1 Spam from me@example.com"}) as peer, SMTP(**options_for(peer)) as client:
        with telemetry.tracers.get_tracer("test").start_as_current_span("outer"):
            with pytest.raises(aiosmtplib.SMTPDataError):
                await client.sendmail(ME, YOU, TEXT)
    span, outer = telemetry.spans
    assert span.parent.span_id == outer.context.span_id
    assert span.attributes["smtp.delivery"] == "rejected"
    assert span.attributes["error.type"] == "SMTPDataError"
    assert span.attributes["smtp.reply.code"] == 554
    assert (span.status.is_ok, span.status.description) == (False, "SMTPDataError")
    assert "example.com" not in span.to_json()


async def test_a_message_that_was_cancelled(telemetry: Telemetry) -> None:
    async with Peer({"MAIL": actions.silence}) as peer, SMTP(**options_for(peer)) as client:
        task = asyncio.create_task(client.sendmail(ME, YOU, TEXT))
        await peer.seen("MAIL")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    (span,) = telemetry.spans
    assert span.attributes["smtp.delivery"] == "unknown"
    assert span.attributes["error.type"] == "CancelledError"


def test_blocking_programs(telemetry: Telemetry) -> None:
    with in_thread(Peer()) as peer, blocking.SMTPPool(peer.host, port=peer.port, local_hostname="me") as pool:
        with telemetry.tracers.get_tracer("test").start_as_current_span("outer"):
            pool.send_message(email_message())
            pool.sendmail(ME, YOU, TEXT)
    *spans, outer = telemetry.spans
    assert [span.parent.span_id for span in spans] == [outer.context.span_id] * 2


async def test_an_own_sendmail_is_still_called(telemetry: Telemetry) -> None:
    class Own(SMTP):
        async def sendmail(self, *args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return await super().sendmail(*args, **kwargs)

    calls: list[Any] = []
    async with Peer() as peer, Own(**options_for(peer)) as client:
        await client.send_message(email_message())
    assert len(calls) == len(telemetry.spans) == 1


def test_it_can_be_undone() -> None:
    before = SMTP.sendmail, SMTP.send_many, SMTPPool.sendmail, SMTPPool.send_many
    instrument()
    assert SMTP.sendmail is not before[0]
    uninstrument()
    assert before == (SMTP.sendmail, SMTP.send_many, SMTPPool.sendmail, SMTPPool.send_many)
    uninstrument()


async def test_commands(telemetry: Telemetry, tmp_path: Any) -> None:
    hook = command_hook(telemetry.meters)
    async with Peer({"MAIL": "550 No", "RCPT": actions.cut}) as peer:
        client = SMTP(**options_for(peer), on_command=hook)
        async with client:
            with pytest.raises(aiosmtplib.SMTPSenderRefused):
                await client.sendmail(ME, YOU, TEXT)
    points = telemetry.points("smtp.client.command.duration")
    by_command = {point.attributes["smtp.command"]: point.attributes for point in points}
    assert by_command["EHLO"]["smtp.reply.code"] == 250
    assert "error.type" not in by_command["EHLO"]
    assert by_command["MAIL"]["error.type"] == "550"
    assert by_command["MAIL"]["server.port"] == peer.port
    sent = {
        point.attributes["network.io.direction"]: point.value for point in telemetry.points("smtp.client.io")
    }
    assert sent["transmit"] == len(peer.received)
    hook(aiosmtplib.CommandEvent("DATA", None, 0.1, 6, 0, 1))
    points = telemetry.points("smtp.client.command.duration")
    (point,) = (point for point in points if point.attributes["smtp.command"] == "DATA")
    assert dict(point.attributes) == {
        "network.protocol.name": "smtp",
        "smtp.command": "DATA",
        "error.type": "no reply",
    }


async def test_a_unix_socket_is_its_path(telemetry: Telemetry, tmp_path: Any) -> None:
    path = str(tmp_path / "smtp.sock")
    async with Peer(path=path):
        async with SMTP(socket_path=path, local_hostname="me") as client:
            await client.sendmail(ME, YOU, TEXT)
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, path)
        async with SMTP(sock=sock, local_hostname="me") as client:
            await client.sendmail(ME, YOU, TEXT)
    span, other = telemetry.spans
    assert span.attributes["server.address"] == path
    assert "server.port" not in span.attributes
    assert {"server.address", "server.port"}.isdisjoint(other.attributes)  # where it leads nobody said
