"""Entries as messages of taskiq, and back."""

from __future__ import annotations

from taskiq import AsyncBroker
from taskiq.message import TaskiqMessage

from ..outbox import Entry, PayloadError, dump, load

__all__ = ("TASK", "from_message", "to_message")

#: The name of the task in a message.
TASK = "aiosmtplib:send"


def to_message(broker: AsyncBroker, entry: Entry) -> bytes:
    """An entry as a message of taskiq, whose only argument is the payload."""
    message = TaskiqMessage(task_id=entry.id, task_name=TASK, labels={}, args=[dump(entry)], kwargs={})
    dumped: bytes = broker.formatter.dumps(message).message
    return dumped


def from_message(broker: AsyncBroker, data: bytes | None) -> Entry:
    """The entry of a message.

    :param data: the message; ``None`` where there is none
    :raises PayloadError: if it is none, of another task or version, or damaged
    """
    if data is None:
        raise PayloadError("There is no message in it")
    try:
        message = broker.formatter.loads(data)
    except Exception as error:  # whatever a serializer raises
        raise PayloadError(f"It is no message of taskiq: {type(error).__name__}") from error
    if message.task_name != TASK:
        raise PayloadError(f"It is of another task: {message.task_name!r:.100}")
    if len(message.args) != 1:
        raise PayloadError("It has no payload")
    return load(message.args[0])
