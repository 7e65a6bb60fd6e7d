"""One message over one connection; and the rehearsal of messages, up to where content would be sent."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from typing import Any

from .._client.connection import introduced_protocol
from .._client.hints import for_command_line
from .._client.results import Envelope, SendResult, failed
from ..errors import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
)
from ..response import SMTPResponse
from ..smtp import SMTP
from ..status import Delivery, SMTPStatus
from .console import Console, Exit
from .message import Outgoing
from .meter import Meter, metered
from .report import record_of
from .sources import Joined
from .verbose import closing

__all__ = ("rehearse", "send_one")

#: A message of less octets shows no progress: it is sent before one could be seen.
LARGE = 1 << 20


async def send_one(client: SMTP, outgoing: Outgoing, args: argparse.Namespace, console: Console) -> int:
    """Send a message, and print the result for each recipient.

    :return: the exit code
    :raises SMTPException: if it was not sent for another reason than a refusal, or may not have been
    """
    with closing(client, args, console):
        await client.connect()
        await introduced_protocol(client)
        envelope = await asyncio.to_thread(outgoing.envelope, args, client.esmtp_extensions)
        try:
            refused, reply = await _transaction(client, outgoing, envelope, console)
        except (SMTPSenderRefused, SMTPRecipientsRefused, SMTPDataError) as exc:
            result: SendResult[Envelope] = failed(0, envelope, exc)
        else:
            response = SMTPResponse(SMTPStatus.completed.value, reply)
            result = SendResult(0, envelope, Delivery.DELIVERED, response, refused, None)
        if args.json:
            console.say(json.dumps(record_of(outgoing.key(), outgoing.label, result)))
        else:
            _print(result, console)
        try:
            await client.quit()
        except SMTPException:
            pass  # the result of the message is known
        return Exit.REFUSED if result.error or result.refused else Exit.OK


async def _transaction(
    client: SMTP, outgoing: Outgoing, envelope: Envelope, console: Console
) -> tuple[dict[str, SMTPResponse], str]:
    message: Any = envelope.message
    sender, recipients = envelope.sender or "", envelope.recipients or ()
    options, rcpt_options = envelope.mail_options, envelope.rcpt_options
    if not isinstance(message, Joined):
        return await client.send_message(message, sender, recipients, options, rcpt_options)
    octets = len(message)
    if octets < LARGE:
        return await client.sendmail(sender, recipients, message.read(), options, rcpt_options)
    content: Any = message
    meter = Meter(1, octets)
    with metered(meter, console) as advanced:

        def progress(sent: int, total: int | None) -> None:
            meter.total_octets, meter.octets = total or sent, sent
            advanced()

        sent = await client.sendmail(sender, recipients, content, options, rcpt_options, progress=progress)
        meter.messages = 1
    return sent


def _print(result: SendResult[Envelope], console: Console) -> None:
    error = result.error
    if isinstance(error, SMTPSenderRefused):
        console.verdict("refused", f"{error.sender or '<>'} (sender): {error.code} {error.message}")
        console.say("message   not sent")
    elif isinstance(error, SMTPRecipientsRefused):
        for each in error.recipients:
            console.verdict("refused", f"{each.recipient}: {each.code} {each.message}")
        console.say("message   not sent: every recipient was refused")
    elif isinstance(error, SMTPDataError):
        console.say(f"message   refused: {error.code} {error.message}")
    else:
        for recipient in result.item.recipients or ():
            if reply := result.refused.get(recipient):
                console.verdict("refused", f"{recipient}: {reply}")
            else:
                console.verdict("accepted", recipient)
        assert result.response is not None
        console.say(f"message   accepted: {result.response.message}")
    if isinstance(error, SMTPException) and error.hint is not None:
        console.say(f"hint      {for_command_line(error.hint)}")


async def rehearse(
    client: SMTP, messages: Sequence[Outgoing], args: argparse.Namespace, console: Console
) -> int:
    """Show the envelopes and headers of messages, and ask the server whether it would take them.

    MAIL and RCPT are sent for each, and then RSET: no content, so that nothing is delivered.

    :return: the exit code
    :raises SMTPException: if there is no connection, or the server does not support what was asked for
    """
    code = Exit.OK
    with closing(client, args, console):
        await client.connect()
        await introduced_protocol(client)
        for outgoing in messages:
            envelope = await asyncio.to_thread(outgoing.envelope, args, client.esmtp_extensions)
            replies = await _ask(client, envelope)
            if args.json:
                console.say(json.dumps(_rehearsal(outgoing, replies)))
            else:
                _show(outgoing, replies, console)
            if any(reply.code >= 400 for _, reply in replies):
                code = Exit.REFUSED
            await client.rset()
        await client.quit()
    return code


async def _ask(client: SMTP, envelope: Envelope) -> list[tuple[str, SMTPResponse]]:
    """The replies to the sender and, unless that is refused, to each recipient."""
    sender, recipients = envelope.sender or "", list(envelope.recipients or ())
    options = [*envelope.mail_options]
    encoding = "ascii"
    if not all(each.isascii() for each in (sender, *recipients)) and client.supports_extension("smtputf8"):
        options.append("SMTPUTF8")
        encoding = "utf-8"
    replies = []
    try:
        replies.append((sender or "<>", await client.mail(sender, options, encoding)))
        for recipient in recipients:
            try:
                reply = await client.rcpt(recipient, envelope.rcpt_options, encoding)
            except SMTPRecipientRefused as exc:
                reply = SMTPResponse(exc.code, exc.message)
            replies.append((recipient, reply))
    except SMTPSenderRefused as exc:
        replies.append((f"{sender or '<>'} (sender)", SMTPResponse(exc.code, exc.message)))
    return replies


def _rehearsal(outgoing: Outgoing, replies: Sequence[tuple[str, SMTPResponse]]) -> dict[str, Any]:
    return {
        "message": outgoing.label,
        "sender": outgoing.sender,
        "recipients": outgoing.recipients,
        "replies": {who: str(reply) for who, reply in replies},
        "octets": len(outgoing.part),
        "headers": outgoing.header.decode("utf-8", "replace").splitlines(),
    }


def _show(outgoing: Outgoing, replies: Sequence[tuple[str, SMTPResponse]], console: Console) -> None:
    console.say(f"message   {outgoing.label} ({len(outgoing.part)} octets)")
    console.say(f"from      {outgoing.sender or '<>'}")
    for who, reply in replies[0 if len(replies) == 1 else 1 :]:
        console.verdict("refused" if reply.code >= 400 else "accepted", f"{who}: {reply}")
    for line in outgoing.header.decode("utf-8", "replace").splitlines():
        console.say(f"header    {line}")
