"""The metrics for Prometheus are the numbers of the pool and the events of its connections."""

import sys
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import CommandEvent, SMTPPool

from ..support.clients import email_message, options_for
from ..support.scripted_server import PIPELINING, Peer

prometheus_client = pytest.importorskip("prometheus_client")

from aiosmtplib.contrib.prometheus import CommandMetrics, PoolCollector


async def test_a_pool_and_its_commands() -> None:
    registry = prometheus_client.CollectorRegistry()
    collector = PoolCollector(registry)
    async with Peer(extensions=PIPELINING) as peer:
        async with SMTPPool(**options_for(peer), on_command=CommandMetrics(registry)) as pool:
            collector.add("news", pool)
            collector.add("news", pool)
            await pool.send_message(email_message())
            value = registry.get_sample_value
            assert value("smtp_pool_connections", {"pool": "news", "state": "idle"}) == 1
            assert value("smtp_pool_connections_limit", {"pool": "news"}) == 10
            assert value("smtp_pool_waiting", {"pool": "news"}) == 0
            assert value("smtp_pool_messages_total", {"pool": "news", "delivery": "delivered"}) == 1
            assert value("smtp_pool_messages_total", {"pool": "news", "delivery": "unknown"}) == 0
            assert value("smtp_pool_bytes_total", {"pool": "news"}) == pool.stats().bytes
            assert value("smtp_pool_reconnects_total", {"pool": "news"}) == 0
            server = f"127.0.0.1:{peer.port}"
            labels = {"server": server, "command": "MAIL", "reply": "2xx"}
            assert value("smtp_command_seconds_count", labels) == 1
            sent = value("smtp_io_bytes_total", {"server": server, "direction": "transmit"})
            assert sent == len(peer.received)
            collector.remove("news")
            assert value("smtp_pool_waiting", {"pool": "news"}) is None


@pytest.mark.parametrize(
    ("code", "host", "port", "labels"),
    [
        (None, "h", 25, {"server": "h:25", "reply": "none"}),
        (-1, "/run/smtp.sock", None, {"server": "/run/smtp.sock", "reply": "invalid"}),
        (550, None, None, {"server": "", "reply": "5xx"}),
    ],
)
def test_labels(code: int | None, host: str | None, port: int | None, labels: dict[str, str]) -> None:
    registry = prometheus_client.CollectorRegistry()
    CommandMetrics(registry)(CommandEvent("MAIL", code, 0.1, 1, 2, 3, host, port))
    assert registry.get_sample_value("smtp_command_seconds_count", {"command": "MAIL", **labels}) == 1


def test_what_is_added_is_checked() -> None:
    collector = PoolCollector(None)
    collector.add("a", SMTPPool())
    nothing: Any = object()
    with pytest.raises(TypeError, match="object"):
        collector.add("b", nothing)
    with pytest.raises(ValueError, match="'a'"):
        collector.add("a", SMTPPool())
    with pytest.raises(KeyError):
        collector.remove("b")


@pytest.mark.parametrize(
    ("face", "module"),
    [("prometheus", "prometheus_client"), ("opentelemetry", "opentelemetry"), ("taskiq", "taskiq_redis")],
)
def test_the_extra_is_named_where_the_package_is_missing(
    face: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"aiosmtplib.contrib.{face}", raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'aiosmtplib\[{face}\]'"):
        importlib.import_module(f"aiosmtplib.contrib.{face}")
    assert aiosmtplib.__name__
