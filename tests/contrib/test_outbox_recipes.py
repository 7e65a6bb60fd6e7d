"""An outbox on the queues of others: ``examples/outbox_procrastinate.py`` and ``examples/outbox_celery.py``.

They run in clean environments, with workers in processes of their own, on a PostgreSQL and a Redis of the
tests.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from benchmarks.outbox_postgres import WORKER, campaign, schema

from ..support.actions import silence
from ..support.clean_run import clean_environ
from ..support.postgres_server import PostgresServer, postgres_server
from ..support.redis_server import RedisServer, redis_server
from ..support.scripted_server import PATIENCE, Peer
from ..support.threaded_servers import Serve, in_thread, serve_embedded
from .environments import ROOT, Environment, environment

__all__ = ("environment", "serve_embedded")

pytestmark = [pytest.mark.slow, pytest.mark.packaging]

EXAMPLES = ROOT / "examples"


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


def until(true: Callable[[], object]) -> None:
    """Wait for what other processes do, and tell nobody."""
    deadline = time.monotonic() + 6 * PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def running(command: list[object], environ: dict[str, str], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([str(word) for word in command], env=environ, cwd=cwd)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(6 * PATIENCE)


def variables(port: int, **others: str) -> dict[str, str]:
    return {
        **clean_environ(),
        "SMTP_PORT": str(port),
        "PYTHONPATH": str(EXAMPLES),
        "PYTHONDONTWRITEBYTECODE": "1",
        **others,
    }


def procrastinate(environment: Environment) -> Path:
    return environment("", "procrastinate>=3.10", "psycopg[binary]")


def test_mail_of_orders_that_are_rolled_back_is_not_sent(
    environment: Environment, postgres: PostgresServer
) -> None:
    counts = campaign(procrastinate(environment), postgres, wanted=30, seed=1)
    assert counts.rolled_back >= 30
    assert counts.refused and counts.orders
    assert (counts.sent_for_nothing, counts.not_sent, counts.twice) == (0, 0, 0)


def test_what_a_killed_worker_of_procrastinate_had_waits_for_a_person(
    environment: Environment, postgres: PostgresServer, tmp_path: Path
) -> None:
    python = procrastinate(environment)
    schema(python, postgres, variables(0, DATABASE_URL=postgres.url))

    def run(coroutine: str) -> bool:
        program = f"""
import asyncio, outbox_procrastinate as outbox
outbox.LEASE = 1
async def main():
    async with outbox.app.open_async():
        await outbox.{coroutine}
asyncio.run(main())
"""
        subprocess.run([python, "-c", program], env=environ, check=True)
        return True

    def jobs() -> list[list[str]]:
        where = "task_name LIKE '%send_mail'"
        return postgres.query(f"SELECT queue_name, status FROM procrastinate_jobs WHERE {where} ORDER BY id")

    with in_thread(Peer({".": silence})) as peer:
        environ = variables(peer.port, DATABASE_URL=postgres.url)
        run("take_order('you@example.com', 'tea')")
        with running([python, "-c", WORKER], environ, tmp_path) as worker:
            until(lambda: b"\r\n.\r\n" in peer.received)
            worker.kill()
    assert jobs() == [["mail", "doing"]]
    until(lambda: run("look_after(0)") and len(jobs()) > 1)
    assert jobs() == [["mail", "failed"], ["held", "todo"]]
    ((reason,),) = postgres.query(
        "SELECT args #>> '{payload,reason}' FROM procrastinate_jobs WHERE queue_name = 'held'"
    )
    assert reason == "The worker that was sending it has died"


def celery(environment: Environment) -> tuple[Path, list[object]]:
    python = environment("", "celery[redis]")
    command = [
        "-m",
        "celery",
        "--app",
        "outbox_celery",
        "worker",
        "--concurrency",
        "2",
        "--loglevel",
        "ERROR",
    ]
    return python, [python, *command]


def enqueue(python: Path, environ: dict[str, str], program: str) -> None:
    program = (
        f"from outbox_celery import enqueue, ledger, send_mail\nfrom aiosmtplib import Envelope\n{program}"
    )
    subprocess.run([python, "-c", program], env=environ, check=True)


def lengths(redis: RedisServer) -> list[int]:
    with Redis.from_url(redis.url) as client:
        return [client.llen(queue) for queue in ("mail", "held", "failed")]


def test_workers_of_celery(
    environment: Environment, redis: RedisServer, serve: Serve, tmp_path: Path
) -> None:
    server = serve(refuse=["nobody@example.com"])
    python, command = celery(environment)
    environ = variables(server.port, REDIS_URL=redis.url)
    program = """
for _ in range(20):
    enqueue(Envelope("me@example.com", ["you@example.com", "nobody@example.com"], "Subject: Hi\\n\\nHi!"))
send_mail.delay({"version": 9})
"""
    enqueue(python, environ, program)
    with running(command, environ, tmp_path):
        until(lambda: lengths(redis) == [0, 0, 21])  # 20 recipients, and what cannot be read
    assert len(server.messages) == 20


def test_what_a_killed_worker_of_celery_had_waits_for_a_person(
    environment: Environment, redis: RedisServer, tmp_path: Path
) -> None:
    python, command = celery(environment)
    with in_thread(Peer({".": silence})) as peer:
        environ = variables(peer.port, REDIS_URL=redis.url)
        enqueue(
            python, environ, 'enqueue(Envelope("me@example.com", "you@example.com", "Subject: Hi\\n\\nHi!"))'
        )
        with running(command, environ, tmp_path) as worker:
            until(lambda: b"\r\n.\r\n" in peer.received)
            children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text()
            for child in map(int, children.split()):
                os.kill(child, signal.SIGKILL)
            until(lambda: lengths(redis) == [0, 1, 0])
    assert peer.received.count(b"\r\n.\r\n") == 1
