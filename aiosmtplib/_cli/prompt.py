"""``aiosmtplib`` without arguments: ask for a server, addresses and a message, and send it.

Scripts pipe the answers in, so the questions, their order and the output must not change.
"""

from __future__ import annotations

import sys

from .._message.addresses import parse_address
from ..response import SMTPResponse
from ..smtp import SMTP, SMTP_PORT
from .console import Console, Exit, UsageError, run_async

__all__ = ("run",)


def run(console: Console) -> int:
    """Run the command: ask for host, port, From, To and a message, and send it.

    :return: the exit code
    :raises UsageError: if an answer is not valid
    :raises SMTPException: if the message was not sent, or may not have been
    """
    try:
        host = input("SMTP server hostname [localhost]: ").strip() or "localhost"
        port = input(f"SMTP server port [{SMTP_PORT}]: ").strip() or str(SMTP_PORT)
        sender = parse_address(input("From: "))
        recipients = [parse_address(part) for part in input("To: ").split(",") if part.strip()]
    except EOFError:
        print()
        raise UsageError("The input ended before the last question.") from None
    if not port.isdecimal():
        raise UsageError(f"{port!r} is not a port.")
    if not recipients:
        raise UsageError("To needs an address.")
    console.say("Enter message, end with ^D:")
    message = sys.stdin.read().removesuffix("\n").encode("utf-8", "surrogateescape")
    console.say(f"Message length (bytes): {len(message)}")
    # As ever: there is no question whom to trust, and a server of this host seldom has a certificate of note.
    client = SMTP(hostname=host, port=int(port), start_tls=False)
    refused, reply = run_async(_send(client, sender, recipients, message))
    console.say(f"Server response: {reply}")
    for recipient, response in refused.items():
        console.complain(f"Refused: {recipient}: {response}")
    return Exit.REFUSED if refused else Exit.OK


async def _send(
    client: SMTP, sender: str, recipients: list[str], message: bytes
) -> tuple[dict[str, SMTPResponse], str]:
    async with client:
        return await client.sendmail(sender, recipients, message)
