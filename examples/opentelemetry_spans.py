"""Spans and metrics of what is sent, printed. Needs ``opentelemetry-sdk``, which says where they go."""

import asyncio
import os

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

import aiosmtplib
from aiosmtplib.contrib.opentelemetry import command_hook, instrument

PORT = int(os.environ.get("SMTP_PORT", "1025"))


async def main() -> None:
    exporter = ConsoleSpanExporter(
        formatter=lambda span: f"{span.name}: {span.attributes['smtp.delivery']}\n"
    )
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(tracers)
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))

    instrument()
    async with aiosmtplib.SMTPPool("localhost", PORT, on_command=command_hook()) as pool:
        for address in ("you@example.com", "nobody@example.com"):
            try:
                await pool.sendmail("me@example.com", address, "Subject: Hello\n\nHello!\n")
            except aiosmtplib.SMTPRecipientsRefused:
                pass  # the span says so

    data = reader.get_metrics_data()
    for metric in sorted(data.resource_metrics[0].scope_metrics[0].metrics, key=lambda each: each.name):
        print(metric.name)


if __name__ == "__main__":
    asyncio.run(main())
