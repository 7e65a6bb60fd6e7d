"""What is signed by ``before_send`` verifies when Postfix has delivered it, in whatever form it took it."""

import asyncio
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from aiosmtplib import Envelope, SMTPPool

from ..support.clients import HOST
from ..support.mta import DOMAIN, Postfix, private_postfix
from ..support.scripted_server import PATIENCE
from .test_postfix import KEPT, client_for

pytest.importorskip("dkim")
pytest.importorskip("nacl")

from aiosmtplib.contrib.dkim import Signer

from ..contrib.test_dkim import KEYS, verifies

pytestmark = pytest.mark.interop

FORMS = {
    "in 7 bits by DATA": ("strict_port", {}, "me", []),
    "8BITMIME by DATA": ("port", {"chunking": False}, "me", []),
    "8BITMIME by BDAT": ("port", {"chunking": True}, "me", []),
    "7 bits by BDAT": ("port", {"chunking": True}, "me", ["BODY=7BIT"]),
    "SMTPUTF8 by DATA": ("port", {"chunking": False}, "grüße", []),
    "SMTPUTF8 by BDAT": ("port", {"chunking": True}, "grüße", []),
}


@pytest.fixture(scope="module", name="postfix")
def _postfix() -> Iterator[Postfix]:
    with private_postfix() as server:
        yield server


def letter(sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, KEPT, "Grüße"
    message.set_content(".größer\n\n.\nEnde\n", cte="8bit")
    return message


def named(text: str) -> str:
    """The name in the queue of Postfix of the message that a final reply is about."""
    return text.rpartition(" ")[2]


async def kept(postfix: Postfix, arrivals: "asyncio.Queue[str]", names: set[str]) -> list[bytes]:
    """The messages of these names in the queue of Postfix, once they are in their files."""
    missing = set(names)
    while missing:
        missing.discard(await asyncio.wait_for(arrivals.get(), PATIENCE))
    return [postfix.kept(name).replace(b"\n", b"\r\n") for name in names]


def check(content: bytes, record: bytes, name: str) -> None:
    assert verifies(content, record)
    assert not verifies(content + b"more\r\n", record)
    header, _, body = content.partition(b"\r\n\r\n")
    assert body.isascii() is ("7 bits" in name)
    assert header.isascii() is ("SMTPUTF8" not in name)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
@pytest.mark.parametrize("name", FORMS)
async def test_what_postfix_delivers_verifies(postfix: Postfix, name: str, kind: str) -> None:
    port, options, local_part, mail_options = FORMS[name]
    key, record = KEYS[kind]
    sender = f"{local_part}@{DOMAIN}"
    signed: dict[str, Any] = {"before_send": Signer("2026", "example.com", key), "complete_headers": True}
    client = client_for(getattr(postfix, port), **signed, **options)
    async with postfix.arrivals() as arrivals, client:
        _, text = await client.send_message(letter(sender), mail_options=mail_options)
        names = {named(text)}
        mails = [Envelope(None, None, letter(sender), mail_options) for _ in range(3)]
        async for result in client.send_many(mails):
            result.raise_for_status()
            assert result.response is not None
            names.add(named(result.response.message))
        contents = await kept(postfix, arrivals, names)
    assert len(contents) == 4
    for content in contents:
        check(content, record, name)


async def test_what_a_pool_has_signed(postfix: Postfix) -> None:
    key, record = KEYS["ed25519"]
    common: Any = {"local_hostname": HOST, "timeout": PATIENCE, "start_tls": False}
    # Postfix adds the fields that are missing, which oversigning forbids.
    signed: Any = {"before_send": Signer("2026", "example.com", key), "complete_headers": True}
    pool = SMTPPool("127.0.0.1", postfix.port, **signed, **common)
    async with postfix.arrivals() as arrivals, pool:
        sender = f"me@{DOMAIN}"
        texts = [await pool.send(letter(sender))]
        texts.append(await pool.send(f"From: {sender}\n\n.\nEnde", sender, KEPT))
        names = {named(text) for _, text in texts}
        async for result in pool.send_many([letter(sender)] * 3):
            result.raise_for_status()
            assert result.response is not None
            names.add(named(result.response.message))
        contents = await kept(postfix, arrivals, names)
    assert len(contents) == 5
    assert all(verifies(content, record) for content in contents)
