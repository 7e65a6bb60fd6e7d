"""Orders whose transactions are rolled back, or whose programs are killed, and the mail that must not go.

``make outbox-postgres`` runs ``examples/outbox_procrastinate.py`` on a PostgreSQL of its own: a worker sends
while orders are taken, refused when they are committed, and killed at any time. It goes on until the mail of
as many was enqueued and rolled back as is asked for, prints what was counted, and fails if one was sent.
"""

import argparse
import collections
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from aiosmtplib.testing import Server
from tests.support.clean_run import clean_environ
from tests.support.postgres_server import PostgresServer, postgres_server, why_no_postgres
from tests.support.threaded_servers import in_thread

__all__ = ("Counts", "ORDERS", "campaign", "main", "schema")

ROOT = Path(__file__).parents[1]
#: A customer who has ordered already is noticed when it is committed, after the mail was enqueued.
ORDERS = """
    CREATE TABLE orders (
        customer text UNIQUE DEFERRABLE INITIALLY DEFERRED,
        goods text
    );
    INSERT INTO orders VALUES ('known@example.com', 'something')
"""
WORKER = "import outbox_procrastinate as outbox; outbox.main()"
#: Seconds, for all that is enqueued to be sent.
PATIENCE = 120


class Counts(NamedTuple):
    """What happened.

    :ivar orders: those that were committed
    :ivar refused: those whose mail was enqueued, and whose commit failed
    :ivar killed: those whose mail was enqueued, and whose program was killed before it was committed
    :ivar sooner: those that were killed before there was any mail
    :ivar sent_for_nothing: mails without an order
    :ivar not_sent: orders without a mail
    :ivar twice: mails that were sent more than once
    """

    orders: int
    refused: int
    killed: int
    sooner: int
    sent_for_nothing: int
    not_sent: int
    twice: int

    @property
    def rolled_back(self) -> int:
        """The enqueueings that were rolled back."""
        return self.refused + self.killed


def schema(python: object, server: PostgresServer, environ: dict[str, str]) -> None:
    """Make the tables of procrastinate, and that of the orders."""
    command = [str(python), "-m", "procrastinate", "--app", "outbox_procrastinate.app", "schema", "--apply"]
    subprocess.run(
        command,
        env=environ,
        check=True,
        timeout=PATIENCE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server.query(ORDERS)


def campaign(python: object, server: PostgresServer, wanted: int, seed: int) -> Counts:
    """Take orders until the mail of so many was enqueued and rolled back.

    :param python: an interpreter that has procrastinate
    """
    with in_thread(Server()) as relay:
        paths = [str(ROOT / "examples"), str(ROOT)]
        environ = {
            **clean_environ(),
            "DATABASE_URL": server.url,
            "SMTP_PORT": str(relay.port),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        schema(python, server, environ)
        worker = subprocess.Popen([str(python), "-c", WORKER], env=environ)
        tries: dict[int, tuple[str, bool]] = {}
        try:
            while True:
                orders = {int(goods[4:-1]) for (goods,) in server.query("SELECT goods FROM orders OFFSET 1")}
                ended = collections.Counter(
                    kind if enqueued else "sooner"
                    for number, (kind, enqueued) in tries.items()
                    if number not in orders
                )
                missing = wanted - ended["refused"] - ended["killed"]
                if missing <= 0:
                    break
                words = [len(tries), missing + 5, seed + len(tries)]
                shop = subprocess.run(
                    [str(python), ROOT / "benchmarks/outbox_postgres_shop.py", *map(str, words)],
                    env=environ,
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for number, kind, enqueued in map(str.split, shop.stdout.splitlines()):
                    tries[int(number)] = kind, enqueued == "1"
            deadline = time.monotonic() + PATIENCE
            while server.query("SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing') LIMIT 1"):
                assert time.monotonic() < deadline, "not everything was sent"
                time.sleep(0.1)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(PATIENCE)
        sent = collections.Counter(
            int(re.findall(r"no\. (\d+)\.", str(message))[0]) for message in relay.messages
        )
    return Counts(
        orders=len(orders),
        refused=ended["refused"],
        killed=ended["killed"],
        sooner=ended["sooner"],
        sent_for_nothing=len(sent.keys() - orders),
        not_sent=len(orders - sent.keys()),
        twice=sum(count > 1 for count in sent.values()),
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.outbox_postgres", description=__doc__)
    parser.add_argument("--tries", type=int, default=1000, help="enqueueings that are rolled back")
    parser.add_argument("--seed", type=int, default=1, help="of all dice that are thrown")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has procrastinate")
    args = parser.parse_args(arguments)
    reason = why_no_postgres()
    if reason is not None:
        print(f"not run: {reason}")
        return 0
    began = time.monotonic()
    with postgres_server() as server:
        counts = campaign(args.python, server, args.tries, args.seed)
    for name, value in counts._asdict().items():
        print(f"{name.replace('_', ' '):20}{value:>8,}")
    print(f"{'rolled back':20}{counts.rolled_back:>8,}")
    print(f"{'seconds':20}{time.monotonic() - began:>8.0f}")
    return 1 if counts.sent_for_nothing or counts.not_sent or counts.twice else 0


if __name__ == "__main__":
    sys.exit(main())
