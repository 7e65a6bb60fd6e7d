"""An outbox: what has to be known about a message so that any number of machines can send it from a queue.

There is no queue in it, and no task: :mod:`aiosmtplib.contrib.taskiq` has one on Redis, and a queue of a
program's own can be used by the same values. A message is prepared once, when it is enqueued:

>>> entry = prepare(Envelope("me@example.com", ["you@example.com"], message), bodies=store)
>>> queue.put(dump(entry))  # what JSON can hold

and whoever takes it from the queue sends it, and asks what comes next:

>>> entry = load(payload)
>>> async for result in pool.send_many([entry.to_send(store)]):
...     for outcome in Policy().after(entry, result):
...         match outcome:
...             case Again(after=seconds):
...                 queue.put_later(dump(entry.for_next(outcome)), seconds)
"""

from __future__ import annotations

from .bodies import BodyStore, DirectoryStore
from .entry import Entry, PayloadError
from .ledger import Ledger, Stage
from .outcomes import Again, Done, Failed, Held, Outcome
from .policy import Policy
from .prepare import INLINE_LIMIT, prepare
from .wire import VERSION, dump, load

__all__ = (
    "INLINE_LIMIT",
    "VERSION",
    "Again",
    "BodyStore",
    "DirectoryStore",
    "Done",
    "Entry",
    "Failed",
    "Held",
    "Ledger",
    "Outcome",
    "PayloadError",
    "Policy",
    "Stage",
    "dump",
    "load",
    "prepare",
)
