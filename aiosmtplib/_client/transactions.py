"""The transactions of one message on the connection of a client: as a whole, as the last one, or streamed."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final, Protocol

from .._codec import EncodedEnvelope
from .._session import dialogues
from .._session.transaction import Outcome, begin
from .._transport.exchange import cancelled_before_sent
from .._transport.limit import Limit
from .before_send import is_streamed
from .completion import completed
from .compose import Composer
from .connection import Connection, introduced_protocol
from .content import rewinder_of
from .division import divided
from .security import is_verified
from .streaming import Progress, end_with, measure, push_content

if TYPE_CHECKING:
    from .._session import PreparedMail
    from ..protocol import SMTPProtocol

#: How long to wait for the reply to a QUIT that went out with a message, in seconds from the final reply. The
#: message has been taken, so nothing is lost with it; and some servers drop what they read behind content.
GOODBYE_PATIENCE: Final = 0.5


class Withdrawable(Protocol):
    """Messages of which those that have not begun may be withdrawn."""

    withdrawn: bool


def run_transaction(
    client: Connection,
    protocol: SMTPProtocol,
    mail: PreparedMail,
    timeout: float | None,
    limit: Limit | None,
    divide: bool,
) -> Awaitable[Outcome]:
    """The transaction of a message whose content is at hand, or its transactions, to be awaited at once.

    It may have begun: a coroutine less for every message.
    """
    if divide:
        return divided(lambda part: send_apart(client, protocol, part, timeout, limit, last=False), mail)
    if client._sends_last or limit is not None:
        return send_apart(client, protocol, mail, timeout, limit, last=client._sends_last)
    exchange = protocol.exchange(begin(mail, protocol.server), timeout)
    protocol.submit(exchange)
    return protocol.wait_for(exchange)


async def send_apart(
    client: Connection,
    protocol: SMTPProtocol,
    mail: PreparedMail,
    timeout: float | None,
    limit: Limit | None,
    *,
    last: bool,
) -> Outcome:
    """Send a message that has a limit, or is the last one: then QUIT goes out in the same group (RFC 2920
    section 3.1), where there are groups.

    The verdict is not kept waiting by the goodbye, whose reply :func:`~.lifetime.part` waits for.
    """
    exchange = protocol.exchange(begin(mail, protocol.server), timeout, pipeline=client if last else None)
    if limit is not None:
        end_with(limit, protocol, exchange)
    protocol.submit(exchange)
    if last and protocol.is_connected:
        patience = GOODBYE_PATIENCE if timeout is None else min(GOODBYE_PATIENCE, timeout)
        client._goodbye = protocol.exchange(dialogues.command(b"QUIT\r\n"), patience, pipeline=client)
        protocol.submit(client._goodbye)
    outcome: Outcome = await protocol.wait_for(exchange)
    return outcome


async def send_stream(
    client: Connection,
    envelope: EncodedEnvelope,
    source: Any,
    progress: Progress | None,
    timeout: float | None,
    limit: Limit | None = None,
    pipeline: Withdrawable | None = None,
    *,
    divide: bool,
) -> Outcome:
    """Send a message whose content comes in pieces.

    :param pipeline: what it shares the connection with; once that is withdrawn, nothing is sent any more
    :param divide: the option ``divide_recipients``
    """
    if client.before_send is not None:
        if not isinstance(source, bytes):  # else the hook has returned it
            raise is_streamed()
    elif client.complete_headers:
        source = completed(source, envelope.sender)
    rewind = rewinder_of(source) if divide else None
    length, size = await measure(source, envelope.binary)
    protocol = await introduced_protocol(client)
    binary = envelope.binary

    async def send(mail: PreparedMail) -> Outcome:
        if pipeline is not None and pipeline.withdrawn:
            raise cancelled_before_sent()
        return await push_content(protocol, mail, source, length, progress, timeout, binary, limit, pipeline)

    mail = composer_of(client).compose_stream(envelope, size)
    return await (send(mail) if rewind is None else divided(send, mail, rewind))


def composer_of(client: Connection) -> Composer:
    """The composer for the server that a client is connected to. EHLO has been sent.

    The options and what is known of the server are attributes that a program may assign.
    """
    composer = client._composer
    if (
        composer is None
        or composer.extensions is not client.esmtp_extensions
        or composer.pipelining is not client.pipelining
        or composer.chunking is not client.chunking
    ):
        composer = client._composer = Composer(
            client.esmtp_extensions,
            verified=is_verified(client.transport),
            pipelining=client.pipelining,
            chunking=client.chunking,
            per_recipient=client._variant.per_recipient,
        )
    return composer
