"""``aiosmtplib outbox``: what is in an outbox on Redis, and what is to become of what waits for a person."""

from __future__ import annotations

import argparse
import json
import os
import re
from typing import TYPE_CHECKING, Any

from .console import Console, Exit, UsageError, run_async
from .parser import describe, exit_codes

if TYPE_CHECKING:
    from ..contrib.taskiq import Outbox, Stored

__all__ = ("add_arguments", "run")

#: The environment variable with the URL of Redis, in which a password may be.
REDIS = "AIOSMTPLIB_REDIS"

ACTIONS = {
    "status": "how many messages are where; with identifiers or --list, each of them",
    "retry": "send now what has failed, or was to be sent later",
    "hold": "keep what no worker has, until it is released",
    "release": "send what is held",
    "discard": "forget what is held or has failed, and remove its content",
}

EXAMPLES = f"""examples:
  aiosmtplib outbox status --redis redis://queue.example.com
  aiosmtplib outbox status --list held
  aiosmtplib outbox release 6c1e7a0c5b7f4d0f8f5d2b5b1c9d3e42
  {REDIS}=rediss://user:secret@queue.example.com aiosmtplib outbox retry --all"""

MEANINGS = {
    Exit.OK: "done",
    Exit.REFUSED: "an identifier is not where it could be done; the others are done",
    Exit.USAGE: "the command line makes no sense, or a package is missing",
    Exit.CONNECTION: "Redis cannot be reached",
    Exit.UNABLE: "Redis refused a command",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = "actions:\n" + "\n".join(f"  {name:8}{text}" for name, text in ACTIONS.items())
    describe(
        parser,
        "Look into an outbox on Redis, and decide what is to become of messages. It needs the extra taskiq.",
        [actions, EXAMPLES, exit_codes(MEANINGS)],
        usage="[OPTIONS] ACTION [ID ...]",
    )
    parser.add_argument("action", choices=list(ACTIONS), metavar="ACTION", help=", ".join(ACTIONS))
    parser.add_argument("ids", nargs="*", metavar="ID", help="identifiers of messages")
    parser.add_argument("--all", action="store_true", help="all messages with which it can be done")
    parser.add_argument(
        "--redis", metavar="URL", help=f"without a password; default: {REDIS}, or redis://localhost:6379"
    )
    parser.add_argument("--name", default="aiosmtplib", help="name of the outbox; default: aiosmtplib")
    parser.add_argument("--bodies", metavar="DIRECTORY", help="where large contents are, for discard")
    parser.add_argument(
        "--list", choices=["later", "held", "dead"], metavar="PLACE", help="show these: later, held or dead"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the command.

    :return: the exit code
    :raises UsageError: if the command line is not valid
    :raises ImportError: if the packages of the extra are missing
    """
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as RedisTimeoutError

    from ..contrib import taskiq  # noqa: F401  # it says what is missing

    if args.action == "status":
        if args.all:
            raise UsageError("status has --list instead of --all.")
    elif args.list:
        raise UsageError("--list is for status.")
    elif bool(args.ids) == args.all:
        raise UsageError(f"Say which messages to {args.action}: by their identifiers, or --all.")
    try:
        return run_async(_run(args, _url(args, console), console))
    except (RedisConnectionError, RedisTimeoutError) as error:
        console.complain(f"Redis cannot be reached: {error}")
        return Exit.CONNECTION
    except RedisError as error:
        console.complain(f"Redis refused it: {error}")
        return Exit.UNABLE


def _url(args: argparse.Namespace, console: Console) -> str:
    url: str = args.redis or os.environ.get(REDIS) or "redis://localhost:6379"
    found = re.search(r"//[^/@]*:([^/@]*)@", url)
    if found:
        console.secrets.protect(found[1])
        if args.redis:
            raise UsageError(f"A URL on the command line must not hold a password: set {REDIS}.")
    return url


async def _run(args: argparse.Namespace, url: str, console: Console) -> int:
    from ..contrib.outbox import DirectoryStore
    from ..contrib.taskiq import Outbox

    bodies = DirectoryStore(args.bodies) if args.bodies else None
    async with Outbox(url, name=args.name, bodies=bodies) as outbox:
        if args.action == "status":
            return await _status(outbox, args, console)
        done = await getattr(outbox, args.action)(None if args.all else args.ids)
    for identifier in done:
        console.say(json.dumps({"id": identifier}) if args.json else identifier)
    missing = [each for each in args.ids if each not in done]
    for identifier in missing:
        console.complain(f"{identifier} is not there to {args.action}.")
    return Exit.REFUSED if missing else Exit.OK


async def _status(outbox: Outbox, args: argparse.Namespace, console: Console) -> int:
    if args.list or args.ids:
        places: Any = [args.list] if args.list else ["later", "held", "dead"]
        ids = args.ids or None
        rows = [_row(place, stored) for place in places async for stored in outbox.stored(place, ids)]
        if args.json:
            for row in rows:
                console.say(json.dumps(row))
        elif rows:
            console.table(list(rows[0]), [[_text(value) for value in row.values()] for row in rows])
        return Exit.REFUSED if {*args.ids} - {row["id"] for row in rows} else Exit.OK
    status = await outbox.status()
    workers = [seconds for seconds in status.workers.values() if seconds is not None]
    counts: dict[str, Any] = {**status._asdict(), "workers": len(workers)}
    if args.json:
        console.say(json.dumps(counts))
    else:
        for name, value in counts.items():
            console.say(f"{name.replace('_', ' '):12}{value}")
    return Exit.OK


def _row(place: str, stored: Stored) -> dict[str, Any]:
    entry = stored.entry
    return {
        "id": stored.id,
        "place": place,
        "from": None if entry is None else entry.envelope.sender,
        "to": None if entry is None else [str(each) for each in entry.recipients],
        "message_id": None if entry is None else entry.message_id,
        "attempts": None if entry is None else entry.attempts,
        "in": None if stored.seconds is None else round(stored.seconds),
        "reason": stored.reason,
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)
