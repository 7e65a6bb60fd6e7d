"""The programs under ``examples/`` run, each with its extra alone, and a page of the documentation shows it.

Each runs in a clean environment, which has nothing but this package, its extra, and the package that the
example is about.
"""

import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..support.mta import free_ports
from ..support.postgres_server import PostgresServer, postgres_server
from ..support.proxies import Proxy
from ..support.redis_server import RedisServer, redis_server
from ..support.scripted_server import Peer
from ..support.threaded_servers import Serve, in_thread, serve_embedded
from .environments import ROOT, Environment, environment, python_for

__all__ = ("environment", "serve_embedded")

EXAMPLES = ROOT / "examples"


#: For the example that signs: a key that is nobody's.
KEY = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
"""


@dataclass(frozen=True)
class Run:
    """How an example is run.

    :ivar extra: the extra that it needs
    :ivar packages: what else it imports
    :ivar python: the oldest Python that these run on
    :ivar driver: code that uses it, where it is no program by itself
    :ivar output: what is printed
    :ivar messages: how many the server must have then
    :ivar redis: whether it needs a Redis
    :ivar postgres: whether it needs a PostgreSQL
    """

    extra: str = ""
    packages: tuple[str, ...] = ()
    python: tuple[int, int] = (3, 10)
    driver: str | None = None
    output: str = ""
    messages: int = 1
    redis: bool = False
    postgres: bool = False


RUNS = {
    "threads": Run(output="100 sent\n", messages=100),
    "flask_app": Run(
        packages=("flask",),
        driver="""
from flask_app import app
client = app.test_client()
print(client.post("/welcome/you@example.com").status_code)
print(client.post("/welcome/nobody@example.com").status_code)
""",
        output="202\n503\n",
    ),
    "celery_tasks": Run(
        packages=("celery",),
        driver="""
from celery_tasks import send_mail
args = ["me@example.com", ["you@example.com", "nobody@example.com"], "Subject: Hi\\n\\nHi!\\n"]
print(send_mail.apply(args).get())
print(type(send_mail.apply(["me@example.com", ["nobody@example.com"], "x"]).result).__name__)
""",
        output="['nobody@example.com']\nSMTPRecipientsRefused\n",
    ),
    "opentelemetry_spans": Run(
        extra="opentelemetry",
        packages=("opentelemetry-sdk",),
        output="send: delivered\nsend: rejected\n"
        "smtp.client.command.duration\nsmtp.client.io\nsmtp.client.message.duration\n",
    ),
    "prometheus_metrics": Run(
        extra="prometheus",
        output="".join(
            f'smtp_pool_messages_total{{delivery="{verdict}",pool="news"}} {number}.0\n'
            for verdict, number in (("delivered", 1), ("rejected", 0), ("unknown", 0))
        )
        + "".join(
            f'smtp_command_seconds_count{{command="{verb}",reply="{reply}",server="localhost"}} 1.0\n'
            for verb, reply in (
                *(("greeting", "2xx"), ("EHLO", "2xx"), ("MAIL", "2xx")),
                *(("RCPT", "2xx"), ("DATA", "3xx"), ("content", "2xx")),
            )
        ),
    ),
    "through_proxy": Run(extra="proxy", output="connected to localhost\n9 sent\n", messages=10),
    "dkim_signed": Run(
        extra="dkim", output="<Signer 2026._domainkey.example.com, ed25519-sha256>\n", messages=3
    ),
    "outbox_worker": Run(
        extra="taskiq",
        driver="""
import asyncio, os, signal
from aiosmtplib import Envelope
from outbox_worker import main, open_outbox
async def drive():
    async with open_outbox() as outbox:
        for who in ("you@example.com", "nobody@example.com", "you@slow.example"):
            await outbox.enqueue(Envelope("me@example.com", who, "Subject: Hi\\n\\nHi!"))
        running = asyncio.create_task(main())
        while any((await outbox.status())[:4]):
            await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        await running
        print([each.reason async for each in outbox.stored("dead")])
asyncio.run(drive())
""",
        output="['550 5.1.1 No such mailbox here']\n",
        messages=2,
        redis=True,
    ),
    "outbox_celery": Run(
        packages=("celery[redis]",),
        driver="""
from aiosmtplib import Envelope
from aiosmtplib.contrib.outbox import dump, prepare
from outbox_celery import ledger, send_mail
entry = prepare(Envelope("me@example.com", ["you@example.com", "nobody@example.com"], "Subject: Hi\\n\\nHi!"))
for _ in range(2):  # what Celery hands out twice is sent once
    send_mail.apply([dump(entry)]).get()
    print(ledger.llen("held"), ledger.llen("failed"))
""",
        output="0 1\n0 1\n",
        redis=True,
    ),
    "outbox_procrastinate": Run(
        packages=("procrastinate>=3.10", "psycopg[binary]"),
        driver="""
import asyncio, os, psycopg
import outbox_procrastinate as outbox
async def drive():
    async with outbox.app.open_async():
        await outbox.app.schema_manager.apply_schema_async()
    async with await psycopg.AsyncConnection.connect(outbox.DATABASE) as connection:
        await connection.execute("CREATE TABLE orders (customer text, goods text CHECK (goods <> ''))")
    await outbox.take_order("you@example.com", "tea")
    await outbox.take_order("nobody@example.com", "tea")
    try:
        await outbox.take_order("you@example.com", "")
    except psycopg.errors.CheckViolation as error:
        print("no order")
    worker = asyncio.create_task(outbox.work())
    async with await psycopg.AsyncConnection.connect(outbox.DATABASE, autocommit=True) as connection:
        while True:
            found = await connection.execute(
                "SELECT queue_name, status, args #>> '{payload,reason}' FROM procrastinate_jobs"
                " WHERE task_name LIKE '%send_mail' ORDER BY id"
            )
            jobs = await found.fetchall()
            if [job[1] for job in jobs if job[0] == "mail"] == ["succeeded"] * 2:
                break
            await asyncio.sleep(0.05)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    print(*jobs[-1])
asyncio.run(drive())
""",
        output="no order\nfailed todo 550 5.1.1 No such mailbox here\n",
        postgres=True,
    ),
    "django_mail": Run(
        extra="django", packages=("django>=6.1",), python=(3, 12), output="101 sent\n", messages=101
    ),
    "django_settings": Run(
        extra="django",
        packages=("django<6.1",),
        driver="""
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "django_settings"
from django.core.mail import get_connection, send_mail
print(send_mail("Hi", "Hi!", "me@example.com", ["you@example.com"]), get_connection().timeout)
""",
        output="1 30\n",
    ),
    "django_backend": Run(
        extra="django",
        packages=("django<6.1",),
        driver="""
import os
from django.conf import settings
settings.configure(
    EMAIL_BACKEND="django_backend.EmailBackend", EMAIL_PORT=int(os.environ["SMTP_PORT"])
)
from django.core.mail import send_mail
print(send_mail("Hi", "Hi!", "me@example.com", ["you@example.com"]))
""",
        output="1\n",
    ),
}


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def test_every_example_is_on_a_page_and_runs_here() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    shown = re.findall(r"(?m)^```\{literalinclude\} \.\./examples/(\w+)\.py$", pages)
    assert sorted(shown) == sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(RUNS)


@pytest.mark.slow
@pytest.mark.packaging
@pytest.mark.parametrize("name", RUNS)
def test_example(
    name: str, environment: Environment, serve: Serve, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "dkim.pem").write_text(KEY, encoding="ascii")
    example = RUNS[name]
    base = python_for(example.python)
    if base is None:
        pytest.skip(f"{name} needs Python {'.'.join(map(str, example.python))}")
    server = serve(refuse=["nobody@example.com"])
    variables = clean()
    if example.redis:
        variables["REDIS_URL"] = request.getfixturevalue("redis").url
    if example.postgres:
        variables["DATABASE_URL"] = request.getfixturevalue("postgres").url
    if example.extra == "django":
        variables["PYTHONWARNINGS"] = "error"  # of Django, among others: what it takes no longer some day
    python = environment(example.extra, *example.packages, base=base)
    program = [str(EXAMPLES / f"{name}.py")] if example.driver is None else ["-c", example.driver]
    with in_thread(Proxy("socks5", server, login=("user", "p@ssword"))) as proxy:
        variables |= {"SMTP_PORT": str(server.port), "SMTP_PROXY": proxy.url("user:p%40ssword@")}
        done = subprocess.run(
            [python, *program],
            cwd=tmp_path,
            env={**variables, "PYTHONPATH": str(EXAMPLES)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert (done.returncode, done.stdout) == (0, example.output), done.stderr
    assert len(server.messages) == example.messages
    assert bool(proxy.asked) == (example.extra == "proxy")


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AIOSMTPLIB_")}


@pytest.mark.slow
@pytest.mark.packaging
def test_workers_of_gunicorn_have_connections_of_their_own(environment: Environment, tmp_path: Path) -> None:
    python = environment("", "flask", "gunicorn")
    (port,) = free_ports(1)
    command = [
        python,
        "-m",
        "gunicorn",
        "--preload",
        "--workers",
        "2",
        "--threads",
        "4",
        "-b",
        f"127.0.0.1:{port}",
    ]
    with in_thread(Peer()) as peer:
        variables = {"SMTP_PORT": str(peer.port), "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [*command, "flask_app:app"],
            cwd=EXAMPLES,
            env={**clean(), **variables, "PYTHONDONTWRITEBYTECODE": "1"},
            stderr=subprocess.PIPE,
            text=True,
        ) as server:
            try:
                assert server.stderr is not None
                booted = 0
                while booted < 2:  # both, or each request could go to the same
                    booted += "Booting worker" in server.stderr.readline()
                for _ in range(20):
                    address = f"http://127.0.0.1:{port}/welcome/you@example.com"
                    assert (
                        urllib.request.urlopen(urllib.request.Request(address, method="POST")).status == 202
                    )
            finally:
                server.send_signal(signal.SIGTERM)
                server.communicate(timeout=60)
        assert len(peer.accepted) == 20
        assert 1 <= len(peer.conversations) <= 8
        assert peer.verbs.count("QUIT") == len(peer.conversations)


@pytest.mark.slow
@pytest.mark.packaging
def test_workers_of_celery_have_connections_of_their_own(environment: Environment, tmp_path: Path) -> None:
    python = environment("", "celery")
    (tmp_path / "queue").mkdir()
    (tmp_path / "driver.py").write_text(
        """
import sys
from celery_tasks import app, send_mail, mail
app.conf.update(broker_url="filesystem://", result_backend="file://results", broker_transport_options={
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "queue"})
if __name__ == "__main__":
    text = "Subject: Hi\\n\\nHi!\\n"
    mail.sendmail("me@example.com", "parent@example.com", text)
    results = [send_mail.delay("me@example.com", ["you@example.com"], text) for _ in range(20)]
    print([result.get(timeout=60) for result in results] == [[]] * 20)
""",
        encoding="utf-8",
    )
    (tmp_path / "results").mkdir()
    with in_thread(Peer()) as peer:
        variables = {"SMTP_PORT": str(peer.port), "PYTHONPATH": f"{EXAMPLES}{os.pathsep}{tmp_path}"}
        env = {**clean(), **variables, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [
            python,
            "-m",
            "celery",
            "-A",
            "driver",
            "worker",
            "--pool",
            "prefork",
            "--concurrency",
            "2",
        ]
        with subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as worker:
            try:
                done = subprocess.run(
                    [python, "driver.py"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
                )
                assert done.stdout == "True\n", done.stderr
            finally:
                worker.send_signal(signal.SIGTERM)
                worker.wait(60)
        assert len(peer.accepted) == 21
        assert 2 <= len(peer.conversations) <= 3
