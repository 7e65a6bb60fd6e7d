"""The example of docs/opentelemetry.md makes metrics and spans of what really happens."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib

from ..support.clients import email_message, options_for
from ..support.scripted_server import PIPELINING, Peer

PAGE = (Path(__file__).parents[2] / "docs" / "opentelemetry.md").read_text(encoding="utf-8")


async def test_example(monkeypatch: pytest.MonkeyPatch) -> None:
    why = "opentelemetry-sdk is not installed"
    exporting = pytest.importorskip("opentelemetry.sdk.trace.export", reason=why)
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter", reason=why)
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    spans, reader = memory.InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(exporting.SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer", tracers.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", meters.get_meter)
    (source,) = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)
    scope: dict[str, Any] = {}
    exec(compile(source, "opentelemetry.md", "exec"), scope)
    async with Peer({"RCPT": "550 no", "DATA": "503 no"}, extensions=PIPELINING) as peer:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await scope["send"](email_message(), **options_for(peer))
        await peer.hung_up()
    finished = spans.get_finished_spans()
    names = [(span.name, span.status.is_ok or span.status.is_unset) for span in finished]
    assert names[:3] == [("SMTP greeting", True), ("SMTP EHLO", True), ("SMTP MAIL", True)]
    assert names[3:6] == [("SMTP RCPT", False), ("SMTP RCPT", False), ("SMTP DATA", False)]
    assert names[-1] == ("send mail", False)
    if asyncio.get_running_loop().__class__.__module__.startswith("asyncio"):
        assert {span.parent.span_id for span in finished[:-1]} == {finished[-1].context.span_id}
    data = reader.get_metrics_data()
    points = {
        metric.name: metric.data.data_points for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    sent = {point.attributes["direction"]: point.value for point in points["smtp.client.io"]}
    assert sent["transmit"] == len(peer.received)
    assert sum(point.count for point in points["smtp.client.command.duration"]) == len(finished) - 1
    tracers.shutdown()
    meters.shutdown()
