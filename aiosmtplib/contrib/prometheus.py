"""Metrics for Prometheus: the numbers of pools, and how long commands take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector
except ModuleNotFoundError as error:
    from .extras import missing

    raise ImportError(missing("prometheus", "prometheus-client")) from error

from .._pool.connection import PoolStats
from .._trace.observer import CommandEvent

__all__ = ("CommandMetrics", "PoolCollector")

#: Seconds: a server on the same machine takes less than a millisecond, one that scans content many seconds.
BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class _HasStats(Protocol):
    def stats(self) -> PoolStats: ...


class PoolCollector(Collector):
    """The numbers of pools, asynchronous or :mod:`~aiosmtplib.blocking`, when they are scraped.

    >>> collector = PoolCollector()
    >>> collector.add("news", pool)

    ``smtp_pool_connections`` has the connections by ``state``, ``smtp_pool_connections_limit`` how many there
    may be now, ``smtp_pool_waiting`` the callers that wait for one; ``smtp_pool_messages_total`` counts
    messages by ``delivery``, ``smtp_pool_bytes_total`` their content, and ``smtp_pool_reconnects_total`` the
    connections opened in place of others. Each has the label ``pool``.

    :param registry: where it is registered; ``None`` for nowhere
    """

    def __init__(self, registry: CollectorRegistry | None = REGISTRY) -> None:
        self._pools: dict[str, _HasStats] = {}
        if registry is not None:
            registry.register(self)

    def add(self, name: str, pool: _HasStats) -> None:
        """Have a pool collected, as ``pool="name"``.

        :raises ValueError: if another one has this name
        :raises TypeError: if it is no pool
        """
        if not hasattr(pool, "stats"):
            raise TypeError(f"A pool has statistics, which {type(pool).__name__} has not")
        if self._pools.setdefault(name, pool) is not pool:
            raise ValueError(f"There is another pool of the name {name!r}")

    def remove(self, name: str) -> None:
        """Collect a pool no more.

        :raises KeyError: if there is none of this name
        """
        del self._pools[name]

    def collect(self) -> Iterator[Any]:
        """What Prometheus asks for."""
        connections = GaugeMetricFamily(
            "smtp_pool_connections", "Connections of a pool by their state", labels=["pool", "state"]
        )
        limit = GaugeMetricFamily(
            "smtp_pool_connections_limit", "Connections that there may be now", labels=["pool"]
        )
        waiting = GaugeMetricFamily(
            "smtp_pool_waiting", "Callers that wait for a connection", labels=["pool"]
        )
        messages = CounterMetricFamily(
            "smtp_pool_messages", "Messages by what became of them", labels=["pool", "delivery"]
        )
        octets = CounterMetricFamily("smtp_pool_bytes", "Content of those messages", labels=["pool"])
        reconnects = CounterMetricFamily(
            "smtp_pool_reconnects", "Connections opened in place of others", labels=["pool"]
        )
        for name, pool in list(self._pools.items()):
            stats = pool.stats()
            for state in ("idle", "busy", "opening", "closing"):
                connections.add_metric([name, state], getattr(stats, state))
            limit.add_metric([name], stats.limit)
            waiting.add_metric([name], stats.waiting)
            for delivery, count in (
                ("delivered", stats.sent),
                ("rejected", stats.refused),
                ("unknown", stats.unknown),
            ):
                messages.add_metric([name, delivery], count)
            octets.add_metric([name], stats.bytes)
            reconnects.add_metric([name], stats.reconnects)
        yield from (connections, limit, waiting, messages, octets, reconnects)


class CommandMetrics:
    """An ``on_command`` hook: ``smtp_command_seconds`` and ``smtp_io_bytes_total``.

    >>> pool = aiosmtplib.SMTPPool("localhost", 1025, on_command=CommandMetrics())

    The labels are ``server`` (host and port), ``command``, and ``reply``: the first digit of the code with
    ``xx``, ``none`` where no reply came, ``invalid`` for what is none; and ``direction`` for the octets.

    :param registry: where they are registered
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._seconds = Histogram(
            "smtp_command_seconds",
            "From a command to its reply",
            ["server", "command", "reply"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._octets = Counter(
            "smtp_io_bytes", "Octets before TLS", ["server", "direction"], registry=registry
        )

    def __call__(self, event: CommandEvent) -> None:
        server = f"{event.host or ''}:{event.port}" if event.port is not None else event.host or ""
        code = event.code
        reply = "none" if code is None else f"{code // 100}xx" if code > 0 else "invalid"
        self._seconds.labels(server, event.verb, reply).observe(event.seconds)
        self._octets.labels(server, "transmit").inc(event.written)
        self._octets.labels(server, "receive").inc(event.received)
