"""Recipients that are none: refused before there is a connection, at every door."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Envelope, SMTPPool
from aiosmtplib._envelope.recipient import recipient_list
from aiosmtplib.lmtp import LMTP
from aiosmtplib.parameters import Recipient

from ..support.clients import MESSAGE, SENDER, email_message, options_for
from ..support.scripted_server import Peer

BAD: list[tuple[Any, type[Exception], str]] = [
    ([""], ValueError, "A recipient must not be empty"),
    ([" \r\n"], ValueError, "A recipient must not be empty"),
    (["b@example.com", ""], ValueError, "A recipient must not be empty"),
    ([Recipient("")], ValueError, "A recipient must not be empty"),
    ([None], TypeError, "An address must be a str, not NoneType"),
    (["b@example.com", 5], TypeError, "An address must be a str, not int"),
    (b"b@example.com", TypeError, "An address must be a str, not int"),
    (["b@example.com, c@example.com"], ValueError, "holds 2 addresses"),
    (["a b"], ValueError, "Not an address for SMTP"),
    (["b@example.com> AUTH=<c"], ValueError, "Not an address for SMTP"),
]
#: ``send`` has a text of its own for these.
NONE: list[tuple[Any, type[Exception], str]] = [
    ("", ValueError, "A recipient must not be empty"),
    ([], ValueError, "No recipients given"),
]

Door = Callable[[Peer, Any], Awaitable[object]]


def of_client(kind: type[aiosmtplib.SMTP], name: str) -> Door:
    async def send(peer: Peer, recipients: Any) -> object:
        client = kind(**options_for(peer))
        if name == "sendmail":
            return await client.sendmail(SENDER, recipients, MESSAGE)
        return await client.send_message(email_message(), recipients=recipients)

    return send


async def pool_sendmail(peer: Peer, recipients: Any) -> object:
    async with SMTPPool(**options_for(peer)) as pool:
        return await pool.sendmail(SENDER, recipients, MESSAGE)


async def pool_send_message(peer: Peer, recipients: Any) -> object:
    async with SMTPPool(**options_for(peer)) as pool:
        return await pool.send_message(email_message(), recipients=recipients)


async def send_object(peer: Peer, recipients: Any) -> object:
    return await aiosmtplib.send(email_message(), recipients=recipients, **options_for(peer))


async def send_raw(peer: Peer, recipients: Any) -> object:
    return await aiosmtplib.send(MESSAGE, SENDER, recipients, **options_for(peer))


async def pool_send_raw(peer: Peer, recipients: Any) -> object:
    async with SMTPPool(**options_for(peer)) as pool:
        return await pool.send(MESSAGE, SENDER, recipients)


DOORS: dict[str, Door] = {
    "sendmail": of_client(aiosmtplib.SMTP, "sendmail"),
    "send_message": of_client(aiosmtplib.SMTP, "send_message"),
    "LMTP.sendmail": of_client(LMTP, "sendmail"),
    "LMTP.send_message": of_client(LMTP, "send_message"),
    "send": send_object,
    "pool.sendmail": pool_sendmail,
    "pool.send_message": pool_send_message,
}


@pytest.mark.parametrize(("recipients", "error", "text"), [*BAD, *NONE])
@pytest.mark.parametrize("door", DOORS)
async def test_refused_before_connecting(
    door: str, recipients: Any, error: type[Exception], text: str
) -> None:
    async with Peer() as peer:
        with pytest.raises(error, match=text):
            await DOORS[door](peer, recipients)
        assert not peer.conversations


@pytest.mark.parametrize(("recipients", "error", "text"), [*BAD, ("", ValueError, "Recipients must")])
@pytest.mark.parametrize("door", [send_raw, pool_send_raw])
async def test_content_refused_before_connecting(
    door: Door, recipients: Any, error: type[Exception], text: str
) -> None:
    async with Peer() as peer:
        with pytest.raises(error, match=text):
            await door(peer, recipients)
        assert not peer.conversations


@pytest.mark.parametrize(("recipients", "error", "text"), [*BAD, *NONE])
@pytest.mark.parametrize("message", [MESSAGE, email_message()], ids=["content", "object"])
async def test_one_of_many(message: Any, recipients: Any, error: type[Exception], text: str) -> None:
    """It fails alone, and nothing of it is sent."""
    items = [Envelope(SENDER, recipients, message), email_message()]
    async with Peer() as peer:
        results = [result async for result in aiosmtplib.send_many(items, **options_for(peer))]
        async with aiosmtplib.SMTP(**options_for(peer)) as client:
            results += [result async for result in client.send_many(items)]
        assert [result.ok for result in sorted(results, key=lambda result: result.index)] == [False] * 2 + [
            True
        ] * 2
        for result in results:
            if result.index == 0:
                assert isinstance(result.error, error)
                assert text in str(result.error)
        assert peer.verbs.count("MAIL") == len(peer.accepted) == 2


async def test_sender_is_refused_before_connecting() -> None:
    async with Peer() as peer:
        for sender, error in (("a b", ValueError), ("a@b> AUTH=<c", ValueError), (5, TypeError)):
            with pytest.raises(error):
                await aiosmtplib.send(email_message(), sender, **options_for(peer))  # type: ignore[arg-type]
        assert not peer.conversations


def test_list() -> None:
    recipients = ["b@example.com", Recipient("Jörg <c@example.com>", "NOTIFY=NEVER"), '"d e"@example.com']
    assert recipient_list(iter(recipients)) == recipients
    assert recipient_list("b@example.com") == ["b@example.com"]
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        recipient_list([])
