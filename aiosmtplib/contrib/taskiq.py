"""An outbox on Redis Streams, with the broker and messages of taskiq: any number of machines send from it.

A program puts messages into it, which checks them:

>>> async with Outbox("redis://localhost", bodies=DirectoryStore("/srv/mail")) as outbox:
...     await outbox.enqueue(Envelope("me@example.com", ["you@example.com"], message))

and workers send them, each over one pool:

>>> async with Outbox("redis://localhost", bodies=DirectoryStore("/srv/mail")) as outbox:
...     async with SMTPPool("relay.example.com") as pool:
...         await Worker(outbox, pool, policy=Policy(unknown="hold"), rate=200).run()

A message costs some three commands of Redis where many are enqueued and sent together. What is acknowledged
has been written down, with what comes next, in the same step.
"""

from __future__ import annotations

try:
    import redis
    import taskiq
    import taskiq_redis
except ModuleNotFoundError as error:
    from .extras import missing

    raise ImportError(missing("taskiq", "taskiq and taskiq-redis")) from error

from ._taskiq.control import Outbox, OutboxStatus, Stored
from ._taskiq.ledger import RedisLedger
from ._taskiq.worker import Worker

del redis, taskiq, taskiq_redis

__all__ = ("Outbox", "OutboxStatus", "RedisLedger", "Stored", "Worker")

# Where users import these from is what a repr and a pickle name.
Outbox.__module__ = OutboxStatus.__module__ = Stored.__module__ = __name__
RedisLedger.__module__ = Worker.__module__ = __name__
