"""``send()``, the package's names, and exceptions as values."""

import pickle
import subprocess
import sys
from typing import Any

import pytest

import aiosmtplib

from ..support import certs
from ..support.clients import HOST, MESSAGE, RECIPIENTS, SENDER, email_message, options_for
from ..support.scripted_server import PATIENCE, Peer
from ..support.server_fixtures import PASSWORD, USER, Start

ERRORS: list[tuple[type[Exception], dict[str, Any]]] = [
    (aiosmtplib.SMTPException, {"message": "m"}),
    (aiosmtplib.SMTPServerDisconnected, {"message": "m"}),
    (aiosmtplib.SMTPConnectError, {"message": "m"}),
    (aiosmtplib.SMTPTimeoutError, {"message": "m"}),
    (aiosmtplib.SMTPConnectTimeoutError, {"message": "m"}),
    (aiosmtplib.SMTPReadTimeoutError, {"message": "m"}),
    (aiosmtplib.SMTPNotSupported, {"message": "m"}),
    (aiosmtplib.SMTPResponseException, {"code": 550, "message": "m"}),
    (aiosmtplib.SMTPConnectResponseError, {"code": 550, "message": "m"}),
    (aiosmtplib.SMTPHeloError, {"code": 550, "message": "m"}),
    (aiosmtplib.SMTPDataError, {"code": 550, "message": "m"}),
    (aiosmtplib.SMTPAuthenticationError, {"code": 550, "message": "m"}),
    (aiosmtplib.SMTPSenderRefused, {"code": 550, "message": "m", "sender": "s"}),
    (aiosmtplib.SMTPRecipientRefused, {"code": 550, "message": "m", "recipient": "r"}),
]


@pytest.mark.parametrize(("kind", "fields"), ERRORS)
def test_errors_are_values(kind: type[Exception], fields: dict[str, Any]) -> None:
    by_position, by_name = kind(*fields.values()), kind(**fields)
    for error in (
        by_position,
        by_name,
        pickle.loads(pickle.dumps(by_name)),
        pickle.loads(pickle.dumps(by_position)),
    ):
        assert type(error) is kind
        assert error.args == tuple(fields.values())
        assert {name: getattr(error, name) for name in fields} == fields
        assert str(error) == ("m" if len(fields) == 1 else str(error.args))


def test_recipients_refused_is_a_value() -> None:
    each = aiosmtplib.SMTPRecipientRefused(550, "m", "r")
    error = pickle.loads(pickle.dumps(aiosmtplib.SMTPRecipientsRefused(recipients=[each])))
    assert error.recipients[0].args == (550, "m", "r")
    assert error.args[0] is error.recipients


@pytest.mark.parametrize(
    ("kind", "kin"),
    [
        (aiosmtplib.SMTPServerDisconnected, ConnectionError),
        (aiosmtplib.SMTPConnectError, ConnectionError),
        (aiosmtplib.SMTPConnectResponseError, ConnectionError),
        (aiosmtplib.SMTPTimeoutError, TimeoutError),
        (aiosmtplib.SMTPReadTimeoutError, TimeoutError),
        (aiosmtplib.SMTPConnectTimeoutError, TimeoutError),
        (aiosmtplib.SMTPConnectTimeoutError, aiosmtplib.SMTPConnectError),
    ],
)
def test_kin(kind: type[Exception], kin: type[Exception]) -> None:
    assert issubclass(kind, kin)
    assert issubclass(kind, aiosmtplib.SMTPException)


def test_response() -> None:
    reply = aiosmtplib.SMTPResponse(250, "OK")
    assert str(reply) == "250 OK"
    assert repr(reply) == "SMTPResponse(code=250, message='OK')"
    assert reply == (250, "OK")
    assert reply.code == aiosmtplib.SMTPStatus.completed


def test_modules_are_attributes_of_the_package() -> None:
    for name in (
        "api",
        "auth",
        "email",
        "errors",
        "esmtp",
        "protocol",
        "response",
        "smtp",
        "status",
        "typing",
    ):
        module = getattr(aiosmtplib, name)
        for public in module.__all__:
            assert hasattr(module, public)
    assert aiosmtplib.errors.SMTPException is aiosmtplib.SMTPException


def test_the_pool_is_imported_when_it_is_asked_for() -> None:
    script = (
        "import sys, aiosmtplib\n"
        "assert {'SMTPPool', 'pool', 'SMTP'} <= set(dir(aiosmtplib))\n"
        "assert 'aiosmtplib.pool' not in sys.modules\n"
        "assert aiosmtplib.SMTPPool is aiosmtplib.pool.SMTPPool\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE)


def test_the_package_has_no_other_attributes() -> None:
    assert aiosmtplib.__getattr__("pool") is sys.modules["aiosmtplib.pool"]
    assert aiosmtplib.__getattr__("SMTPPool") is aiosmtplib.SMTPPool
    with pytest.raises(AttributeError, match="module 'aiosmtplib' has no attribute 'SMTPool'"):
        _ = aiosmtplib.SMTPool


def test_the_twin_in_use_has_a_public_name() -> None:
    assert aiosmtplib.IMPLEMENTATION == aiosmtplib._codec.IMPLEMENTATION
    assert aiosmtplib.IMPLEMENTATION in ("cython", "python")


@pytest.mark.parametrize("message", [MESSAGE, MESSAGE.decode(), email_message()])
async def test_send(message: Any) -> None:
    async with Peer() as peer:
        result = await aiosmtplib.send(message, sender=SENDER, recipients=RECIPIENTS, **options_for(peer))
        assert result == ({}, "2.0.0 Accepted")
        await peer.hung_up()
        assert peer.verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]
        assert [who.decode() for who in peer.accepted[0].recipients] == RECIPIENTS


async def test_send_by_position() -> None:
    async with Peer() as peer:
        await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options_for(peer))
        await aiosmtplib.send(email_message(), **options_for(peer))
        assert len(peer.accepted) == 2


async def test_send_with_everything(smtpd: Start) -> None:
    mailbox = await smtpd(starttls=True, auth=True)
    result = await aiosmtplib.send(
        email_message(),
        hostname="localhost",
        port=mailbox.port,
        username=USER,
        password=PASSWORD,
        local_hostname=HOST,
        start_tls=True,
        tls_context=certs.client_context(),
        mail_options=["BODY=8BITMIME"],
        timeout=PATIENCE,
    )
    assert result == ({}, "2.0.0 Kept")
    assert len(mailbox.envelopes) == len(mailbox.logins) == 1


@pytest.mark.parametrize(
    ("message", "envelope", "text"),
    [
        (b"x", {}, "Recipients must be provided with raw messages."),
        ("x", {"sender": SENDER}, "Recipients must be provided with raw messages."),
        ("x", {"sender": SENDER, "recipients": []}, "Recipients must be provided with raw messages."),
        ("x", {"recipients": RECIPIENTS}, "Sender must be provided with raw messages."),
    ],
)
async def test_raw_messages_need_an_envelope(message: Any, envelope: dict[str, Any], text: str) -> None:
    async with Peer() as peer:
        with pytest.raises(ValueError, match=f"^{text}$"):
            await aiosmtplib.send(message, **envelope, **options_for(peer))
        assert peer.conversations == []


@pytest.mark.parametrize("message", [3, None, 1.5])
async def test_what_is_no_message(message: Any) -> None:
    async with Peer() as peer:
        with pytest.raises((TypeError, AttributeError)):
            await aiosmtplib.send(message, sender=SENDER, recipients=RECIPIENTS, **options_for(peer))
        await peer.hung_up()
        assert "MAIL" not in peer.verbs


async def test_refusal_is_raised_after_quit() -> None:
    async with Peer({"MAIL": "550 no"}) as peer:
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            await aiosmtplib.send(MESSAGE, sender=SENDER, recipients=RECIPIENTS, **options_for(peer))
        await peer.hung_up()
        assert peer.verbs[-1] == "QUIT"


async def test_partial_refusal_is_returned() -> None:
    async with Peer({"RCPT": "550 no"}) as peer:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await aiosmtplib.send(MESSAGE, sender=SENDER, recipients=RECIPIENTS, **options_for(peer))
        assert [error.recipient for error in caught.value.recipients] == RECIPIENTS


async def test_send_to_a_closed_port() -> None:
    with pytest.raises(aiosmtplib.SMTPConnectError):
        await aiosmtplib.send(
            MESSAGE,
            sender=SENDER,
            recipients=RECIPIENTS,
            hostname="127.0.0.1",
            port=1,
            local_hostname=HOST,
            timeout=5,
        )
