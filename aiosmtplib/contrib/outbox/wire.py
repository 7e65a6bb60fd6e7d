"""Entries as what JSON can hold, with a version, and back.

What comes from a queue is not trusted: :func:`load` checks the type of every value and makes parameters by
their own constructors. Nothing is unpickled.
"""

from __future__ import annotations

import base64
import binascii
import math
from datetime import datetime
from typing import Any

from ... import parameters
from ..._client.results import Envelope
from ..._envelope.parameter import Parameter
from ..._envelope.recipient import Recipient
from .entry import Entry, PayloadError

__all__ = ("VERSION", "check_tag", "dump", "dump_option", "dump_recipient", "load")

#: The version of the payload. One that a program does not know is not read.
VERSION = 1

#: The parameters that a payload can have, by name.
_PARAMETERS: dict[str, type[Parameter]] = {
    name: kind
    for name in parameters.__all__
    if issubclass(kind := getattr(parameters, name), Parameter) and kind is not Parameter
}

#: The types of the values that each payload has.
_TYPES: tuple[tuple[str, tuple[type, ...]], ...] = (
    *((name, (str,)) for name in ("id", "message_id", "reason", "sender")),
    *((name, (int,)) for name in ("size", "attempts", "unsent")),
    *((name, (list,)) for name in ("recipients", "mail_options", "rcpt_options")),
    ("created", (int, float)),
)


def dump(entry: Entry) -> dict[str, Any]:
    """An entry as a payload: a ``dict`` that JSON or msgpack can hold.

    :raises TypeError: if a parameter or the tag cannot be in it
    """
    envelope = entry.envelope
    payload: dict[str, Any] = {
        "version": VERSION,
        "id": entry.id,
        "created": entry.created,
        "message_id": entry.message_id,
        "size": entry.size,
        "attempts": entry.attempts,
        "unsent": entry.unsent,
        "reason": entry.reason,
        "sender": envelope.sender,
        "recipients": [dump_recipient(each) for each in entry.recipients],
        "mail_options": [dump_option(each) for each in envelope.mail_options],
        "rcpt_options": [dump_option(each) for each in envelope.rcpt_options],
        "tag": check_tag(envelope.tag),
    }
    if entry.body is None:
        message: Any = envelope.message
        payload["content"] = base64.b64encode(message).decode("ascii")
    else:
        payload["body"] = entry.body
    return payload


def load(payload: object) -> Entry:
    """The entry of a payload.

    :raises PayloadError: if it is of another version, or damaged
    """
    if not isinstance(payload, dict):
        raise PayloadError(f"A payload is a dict, not {type(payload).__name__}")
    version = payload.get("version")
    if type(version) is not int or version != VERSION:
        raise PayloadError(f"The payload has version {version!r:.40}, and only {VERSION} is known here")
    try:
        entry = _entry(payload)
    except KeyError as error:
        raise PayloadError(f"The payload has no {error}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise PayloadError(f"The payload is damaged: {error}"[:400]) from error
    return entry


def check_tag(tag: Any) -> str | int | float | None:
    """The tag of an envelope, if a payload can have it.

    :raises TypeError: if not
    """
    if tag is not None and type(tag) not in (str, int, float, bool):
        raise TypeError(f"A tag in an outbox is text or a number, not {type(tag).__name__}")
    found: str | int | float | None = tag
    return found


def dump_option(option: str) -> Any:
    """A parameter of MAIL or RCPT as a payload has it: a text, or the name of its class with arguments.

    :raises TypeError: if it is a typed one that this package has not
    """
    if not isinstance(option, Parameter):
        return str(option)
    kind = type(option)
    if _PARAMETERS.get(kind.__name__) is not kind:
        raise TypeError(f"A {kind.__name__} cannot be in an outbox: pass it as text")
    names = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
    arguments = {name: getattr(option, name) for name in names}
    if isinstance(option, parameters.HoldUntil):
        arguments["moment"] = option.moment.isoformat()
    elif isinstance(option, parameters.Notify):
        arguments["conditions"] = list(option.conditions)
    elif isinstance(option, parameters.SMTPUTF8):
        del arguments["required"]
    return {"parameter": kind.__name__, **arguments}


def dump_recipient(recipient: str) -> Any:
    """A recipient as a payload has it: a text, or one with parameters."""
    if not isinstance(recipient, Recipient):
        return str(recipient)
    return {"recipient": str(recipient), "options": [dump_option(each) for each in recipient.options]}


def _entry(payload: dict[str, Any]) -> Entry:
    for name, kinds in _TYPES:
        if type(payload[name]) not in kinds:
            raise TypeError(f"{name} must not be of the type {type(payload[name]).__name__}")
    size, attempts, unsent, created = (payload[name] for name in ("size", "attempts", "unsent", "created"))
    if size < 0 or attempts < 0 or unsent < 0 or not math.isfinite(created):
        raise ValueError("a number is not what it can be")
    body = payload.get("body")
    if body is None:
        content = binascii.a2b_base64(payload["content"])
        if len(content) != size:
            raise ValueError("the content is not as long as it was")
    else:
        content = b""
        if type(body) is not str:
            raise TypeError("the name of the content is no text")
    recipients = tuple(map(_recipient, payload["recipients"]))
    if not recipients:
        raise ValueError("there is no recipient")
    envelope = Envelope(
        payload["sender"],
        recipients,
        content,
        tuple(map(_option, payload["mail_options"])),
        tuple(map(_option, payload["rcpt_options"])),
        check_tag(payload["tag"]),
    )
    message_id, reason = payload["message_id"], payload["reason"]
    return Entry(payload["id"], envelope, message_id, created, size, attempts, unsent, body, reason)


def _option(value: Any) -> str:
    if isinstance(value, str):
        return value
    arguments = dict(value)
    kind: Any = _PARAMETERS.get(arguments.pop("parameter"))
    if kind is None:
        raise ValueError("a parameter is of a kind that is not known here")
    conditions = arguments.pop("conditions", ())
    if "moment" in arguments:
        arguments["moment"] = datetime.fromisoformat(arguments["moment"])
    made: str = kind(*conditions, **arguments)
    return made


def _recipient(value: Any) -> str:
    if isinstance(value, str):
        return value
    return Recipient(value["recipient"], *map(_option, value["options"]))
