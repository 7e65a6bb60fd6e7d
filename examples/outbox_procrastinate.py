"""Mail that is enqueued with the order that it confirms, in one transaction of PostgreSQL.

Its workers are those of procrastinate, as many as it takes, which need its tables::

    procrastinate --app outbox_procrastinate.app schema --apply
    python -c "import outbox_procrastinate as outbox; outbox.main()"
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

from procrastinate import App, JobContext, PsycopgConnector
from psycopg import AsyncConnection

from aiosmtplib import Envelope, SMTPPool
from aiosmtplib.contrib.outbox import Again, Done, Entry, Held, Outcome, Policy, dump, load, prepare

DATABASE = os.environ.get("DATABASE_URL", "postgresql:///shop")
PORT = int(os.environ.get("SMTP_PORT", "1025"))
POLICY = Policy(unknown="hold")
LEASE = 30  # seconds: a worker that is silent for longer is dead

app = App(connector=PsycopgConnector(conninfo=DATABASE))


async def take_order(customer: str, goods: str) -> None:
    """Both the order and its mail are there after this, or neither."""
    text = f"Subject: Your order\n\nWe have got your order: {goods}.\n"
    async with await AsyncConnection.connect(DATABASE) as connection:
        await connection.execute("INSERT INTO orders (customer, goods) VALUES (%s, %s)", (customer, goods))
        entry = prepare(Envelope("shop@example.com", [customer], text))
        await send_mail.configure(connection=connection).defer_async(payload=dump(entry))


@app.task(queue="mail", pass_context=True)
async def send_mail(context: JobContext, payload: dict[str, Any]) -> None:
    entry = load(payload)  # a payload that is damaged is a job that has failed, with the reason in the log
    async for result in context.additional_context["pool"].send_many([entry.to_send()]):
        outcomes = POLICY.after(entry, result)
        if not all(isinstance(each, Done) for each in outcomes):
            async with await AsyncConnection.connect(DATABASE) as connection:
                await arrange(connection, entry, outcomes)


async def arrange(connection: AsyncConnection, entry: Entry, outcomes: Sequence[Outcome]) -> None:
    """Enqueue what comes next. What a person is to look at goes to queues that no worker reads."""
    rest = [each for each in outcomes if not isinstance(each, Done)]
    for number, outcome in enumerate(rest):
        if isinstance(outcome, Again):
            job = send_mail.configure(connection=connection, schedule_in={"seconds": outcome.after})
        else:
            queue = "held" if isinstance(outcome, Held) else "failed"
            job = send_mail.configure(connection=connection, queue=queue)
        await job.defer_async(payload=dump(entry.for_next(outcome, apart=number > 0)))


@app.periodic(cron="* * * * *")
@app.task(queue="mail")
async def look_after(timestamp: int) -> None:
    """What a dead worker had may have been on its way: the policy says what comes next."""
    async with await AsyncConnection.connect(DATABASE) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(25)")  # one worker at a time
        for job in await app.job_manager.get_stalled_jobs(
            task_name=send_mail.name, seconds_since_heartbeat=LEASE
        ):
            await connection.execute("SELECT procrastinate_finish_job_v1(%s, 'failed', false)", (job.id,))
            entry = load(job.task_kwargs["payload"])
            await arrange(connection, entry, POLICY.abandoned(entry))


async def work() -> None:
    async with app.open_async(), SMTPPool("localhost", port=PORT, max_connections=4) as pool:
        await app.run_worker_async(queues=["mail"], concurrency=50, additional_context={"pool": pool})


def main() -> None:
    """A worker, until SIGTERM."""
    asyncio.run(work())
