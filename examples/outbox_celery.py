"""An outbox on Celery and Redis 7: ``celery --app outbox_celery worker``, as often as it takes.

Each process of a worker has a pool of its own, which stays connected from one message to the next.
"""

import os
from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.exceptions import Reject
from redis import Redis

from aiosmtplib import Envelope, blocking
from aiosmtplib.contrib.outbox import (
    Again,
    Done,
    Entry,
    Held,
    Outcome,
    PayloadError,
    Policy,
    dump,
    load,
    prepare,
)

REDIS = os.environ.get("REDIS_URL", "redis://localhost:6379")
PORT = int(os.environ.get("SMTP_PORT", "1025"))
POLICY = Policy(unknown="hold")

app = Celery("outbox", broker=REDIS)
app.conf.update(task_default_queue="mail", worker_prefetch_multiplier=1)
pool = blocking.SMTPPool("localhost", port=PORT, max_connections=1)
# How far each attempt got. A message is handed out again if its worker died, and also if it waits for long.
ledger = Redis.from_url(REDIS)
UNDER_WAY, RECORDED, KEPT = b"under way", b"recorded", 7 * 86400


def enqueue(envelope: Envelope) -> None:
    """Have a message sent, once it was checked."""
    send_mail.delay(dump(prepare(envelope)))


@app.task(acks_late=True, reject_on_worker_lost=True, ignore_result=True)
def send_mail(payload: dict[str, Any]) -> None:
    try:
        entry = load(payload)
        mark = f"mail:{entry.id}:{entry.attempts}:{entry.unsent}"
        stage = ledger.set(mark, UNDER_WAY, nx=True, get=True, ex=KEPT)
        if stage is None:
            for result in pool.send_many([entry.to_send()]):
                arrange(entry, POLICY.after(entry, result))
        elif stage == UNDER_WAY:
            arrange(entry, POLICY.abandoned(entry))
        ledger.set(mark, RECORDED, ex=KEPT)
    except PayloadError:
        send_mail.apply_async([payload], queue="failed")
        raise
    except Exception as error:  # Redis is away: what has been sent is not sent again
        raise Reject(error, requeue=True) from error


def arrange(entry: Entry, outcomes: Sequence[Outcome]) -> None:
    """Enqueue what comes next. What a person is to look at goes to queues that no worker reads."""
    rest = [each for each in outcomes if not isinstance(each, Done)]
    for number, outcome in enumerate(rest):
        payload = dump(entry.for_next(outcome, apart=number > 0))
        if isinstance(outcome, Again):
            send_mail.apply_async([payload], countdown=outcome.after)
        else:
            send_mail.apply_async([payload], queue="held" if isinstance(outcome, Held) else "failed")
