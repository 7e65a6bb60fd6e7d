"""The results of messages: printed, kept in a file of JSON lines, and read from there to go on."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

from .._client.results import SendResult
from ..errors import SMTPException, SMTPRecipientsRefused, SMTPSenderRefused
from ..status import Delivery
from .console import UsageError
from .message import Outgoing

__all__ = ("Past", "Report", "read_report", "record_of")


class Past(NamedTuple):
    """What earlier runs did with the recipients of a message.

    :ivar delivered: those for whom the server accepted it
    :ivar unknown: those for whom it may have
    """

    delivered: frozenset[str]
    unknown: frozenset[str]


NOTHING = Past(frozenset(), frozenset())


def record_of(key: str, label: str, result: SendResult[Any]) -> dict[str, Any]:
    """A result as one line of the report, and of ``--json``, has it."""
    envelope = result.item
    error = result.error
    response = result.response
    refused = {each: str(reply) for each, reply in result.refused.items()}
    text = None
    if error is not None and response is None:  # its message, without the hint to programs
        text = error.message if isinstance(error, SMTPException) else str(error)
    if isinstance(error, SMTPSenderRefused):
        refused = {f"{envelope.sender or '<>'} (sender)": str(response)}
    elif isinstance(error, SMTPRecipientsRefused):
        text = "every recipient was refused"
    return {
        "message": label,
        "delivery": result.delivery.value,
        "sender": envelope.sender,
        "recipients": [*envelope.recipients],
        "refused": refused,
        "reply": None if response is None else str(response),
        "error": text,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "key": key,
    }


class Report:
    """The file of results. Each line is written as soon as its verdict is known.

    :param path: where it is written, or ``None``
    :param resume: the report of an earlier run, or ``None``; without ``path``, it is continued
    :raises UsageError: if the file exists already, a file cannot be read or written, or a line is damaged
    """

    def __init__(self, path: str | None, resume: str | None) -> None:
        self._seen: Counter[str] = Counter()
        self._past = {} if resume is None else read_report(resume)
        self._file: IO[str] | None = None
        same = resume is not None and (path is None or os.path.abspath(path) == os.path.abspath(resume))
        if path is None and resume is None:
            return
        target = resume if same else path
        assert target is not None
        self._new = not same
        try:
            # A report is never overwritten: it is all that says who had the mail.
            self._file = open(  # noqa: SIM115 - until the run ends
                target, "a" if same else "x", encoding="utf-8", newline="\n"
            )
            if resume is not None and not same:
                with open(resume, encoding="utf-8") as earlier:
                    self._file.write(earlier.read())
                self._file.flush()
        except FileExistsError:
            raise UsageError(
                f"{target} exists: go on with --resume {target}, or choose another name."
            ) from None
        except OSError as exc:
            raise UsageError(f"Cannot write {target}: {exc.strerror}") from exc

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            empty = not self._file.tell()
            self._file.close()
            if empty and self._new:  # nothing was sent, and the same command may be tried again
                os.unlink(self._file.name)

    def key(self, outgoing: Outgoing) -> str:
        """What identifies a message: one that is there twice has two."""
        key = outgoing.key()
        self._seen[key] += 1
        return key if self._seen[key] == 1 else f"{key}-{self._seen[key]}"

    def past(self, key: str) -> Past:
        """What earlier runs did with a message."""
        return self._past.get(key, NOTHING)

    def write(self, record: Mapping[str, Any]) -> None:
        """Keep a result."""
        if self._file is not None:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()


def read_report(path: str) -> dict[str, Past]:
    """What a report says of each message.

    :raises UsageError: if it cannot be read, or a line of it is damaged
    """
    found: dict[str, Past] = {}
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    key, past = _past_of(line)
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise UsageError(
                        f"Line {number} of {path} is damaged: find out what became of that message, "
                        "and correct or remove the line."
                    ) from None
                before = found.get(key, NOTHING)
                delivered = before.delivered | past.delivered
                found[key] = Past(delivered, (before.unknown | past.unknown) - delivered)
    except OSError as exc:
        raise UsageError(f"Cannot read {path}: {exc.strerror}") from exc
    return found


def _past_of(line: bytes) -> tuple[str, Past]:
    if not line.endswith(b"\n"):  # written in part
        raise ValueError(line)
    record = json.loads(line)
    delivery, key = Delivery(record["delivery"]), record["key"]
    recipients, refused = [*map(_text, record["recipients"])], {*record["refused"]}
    if delivery is Delivery.DELIVERED:
        return _text(key), Past(frozenset(recipients) - refused, frozenset())
    return _text(key), Past(frozenset(), frozenset(recipients if delivery is Delivery.UNKNOWN else ()))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
