"""What is signed verifies with dkimpy where it arrives, and what was changed on the way does not."""

import pickle
import sys
from email.message import EmailMessage
from typing import Any

import pytest

from aiosmtplib import SMTP, Envelope

from ..support.clients import options_for
from ..support.scripted_server import CHUNKING, PIPELINING, Peer

dkim = pytest.importorskip("dkim")
pytest.importorskip("nacl")

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from aiosmtplib.contrib.dkim import HEADERS, Signer

ME, YOU = "me@example.com", "you@example.com"


def make_key(kind: str) -> tuple[bytes, bytes]:
    """A private key in PEM, and the record of its public half."""
    from base64 import b64encode

    key: Any
    if kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    else:
        key = rsa.generate_private_key(65537, 1024)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    form = PrivateFormat.TraditionalOpenSSL if kind == "rsa (PKCS #1)" else PrivateFormat.PKCS8
    algorithm = kind.split()[0].encode()
    record = b"v=DKIM1; k=%b; p=%b" % (algorithm, b64encode(public))
    return key.private_bytes(Encoding.PEM, form, NoEncryption()), record


KEYS = {kind: make_key(kind) for kind in ("rsa", "rsa (PKCS #1)", "ed25519")}


def verifies(content: bytes, record: bytes) -> bool:
    def dns(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"2026._domainkey.example.com."
        return record

    return bool(dkim.verify(content, dnsfunc=dns))


def message() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ME, YOU, "Grüße"
    message["Bcc"] = "secret@example.com"
    message.set_content("Schöne Grüße!\n.\nlast line\n")
    return message


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING, ()])
async def test_what_arrives_verifies(kind: str, extensions: tuple[str, ...]) -> None:
    key, record = KEYS[kind]
    signer = Signer("2026", "Example.com", key)
    async with Peer(extensions=extensions) as peer, SMTP(**options_for(peer)) as client:
        await client.sendmail(ME, YOU, signer(message()))
        texts = [b"From: me@example.com\n\nhi", "From: me@example.com\r\n\r\n.hi\r\n"]
        async for result in client.send_many(Envelope(ME, YOU, signer(text)) for text in texts):
            result.raise_for_status()
    assert len(peer.accepted) == 3
    for each in peer.accepted:
        assert verifies(each.content, record)
        assert not verifies(each.content.replace(b"From: me", b"From: you"), record)
        # Oversigned: neither another field of a name that is there, nor one that was not.
        assert not verifies(b"From: you@example.com\r\n" + each.content, record)
        assert not verifies(b"Reply-To: you@example.com\r\n" + each.content, record)
        assert verifies(b"X-Other: added on the way\r\n" + each.content, record)
    first = peer.accepted[0].content
    assert b"secret" not in first
    assert first.isascii()


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("extensions", [(), PIPELINING, CHUNKING, (*CHUNKING, "SMTPUTF8")])
async def test_what_goes_through_before_send_verifies(kind: str, extensions: tuple[str, ...]) -> None:
    key, record = KEYS[kind]
    signer = Signer("2026", "example.com", key)
    assert signer.blocking is (kind != "ed25519")
    sender = "grüße@example.com" if "SMTPUTF8" in extensions else ME
    options: dict[str, Any] = {"before_send": signer, "complete_headers": True}
    async with Peer(extensions=extensions) as peer, SMTP(**options_for(peer, **options)) as client:
        await client.send_message(message(), sender)
        async for result in client.send_many(
            [Envelope(sender, YOU, message()), Envelope(ME, YOU, b"From: x")]
        ):
            result.raise_for_status()
    assert len(peer.accepted) == 3
    for each in peer.accepted:
        assert verifies(each.content, record)
        assert not verifies(b"Date: now\r\n" + each.content, record)
        assert b"secret" not in each.content


async def test_what_cannot_be_signed_is_not_sent() -> None:
    async with Peer() as peer:
        async with SMTP(**options_for(peer, before_send=Signer("2026", "example.com", RSA))) as client:
            with pytest.raises(ValueError, match="From"):
                await client.sendmail(ME, YOU, b"Subject: hi\r\n\r\nhi\r\n")
    assert peer.verbs == ["EHLO", "QUIT"]


def test_utf8_header_fields() -> None:
    key, record = KEYS["ed25519"]
    signed = Signer("2026", "example.com", key)(message(), utf8=True)
    assert "Subject: Grüße\r\n".encode() in signed
    assert verifies(signed, record)


def test_the_fields_can_be_chosen() -> None:
    key, record = KEYS["ed25519"]
    signed = Signer("2026", "example.com", key, headers=["From", "Date"])(message())
    assert verifies(b"Subject: another\r\n" + signed, record)
    assert not verifies(b"Date: now\r\n" + signed, record)
    assert "From" in HEADERS


RSA = KEYS["rsa"][0]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        (("a b", "example.com", RSA), {}, ValueError, "selector 'a b'"),
        (("2026", "exämple.com", RSA), {}, ValueError, "domain"),
        (("2026", "example.com\r\n", RSA), {}, ValueError, "domain"),
        ((None, "example.com", RSA), {}, TypeError, "selector"),
        (("2026", b"example.com", RSA), {}, TypeError, "domain"),
        (("2026", "example.com", None), {}, TypeError, "NoneType"),
        (("2026", "example.com", "sesame"), {}, ValueError, "private key"),
        (("2026", "example.com", RSA[:200] + RSA[300:]), {}, ValueError, "private key"),
        (("2026", "example.com", RSA), {"headers": ["Subject"]}, ValueError, "From"),
        (("2026", "example.com", RSA), {"headers": "From"}, TypeError, "names"),
        (("2026", "example.com", RSA), {"headers": ["From", "a:b"]}, ValueError, "'a:b'"),
    ],
)
def test_options_are_checked(arguments: Any, options: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        Signer(*arguments, **options)
    frames = [entry.frame for entry in caught.traceback if entry.path.name == "dkim.py"]
    assert frames
    assert "sesame" not in str([frame.f_locals for frame in frames]) + str(caught.value)


def test_messages_are_checked() -> None:
    signer = Signer("2026", "example.com", RSA.decode().replace("\n", "\r\n"))
    with pytest.raises(ValueError, match="From"):
        signer(b"Subject: hi\r\n\r\nhi\r\n")
    stream: Any = iter([b""])
    with pytest.raises(TypeError, match="streamed"):
        signer(stream)
    nothing: Any = 1
    with pytest.raises(TypeError):
        signer(nothing)


def test_the_key_is_not_shown() -> None:
    signer = Signer("2026", "example.com", RSA)
    assert repr(signer) == "<Signer 2026._domainkey.example.com, rsa-sha256>"
    assert RSA.split(b"\n")[1].decode() not in str(vars(signer))
    with pytest.raises(TypeError):
        pickle.dumps(signer)


def test_the_extra_is_named_where_dkimpy_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dkim", None)
    monkeypatch.delitem(sys.modules, "aiosmtplib.contrib.dkim")
    with pytest.raises(ImportError, match=r"pip install 'aiosmtplib\[dkim\]'"):
        import aiosmtplib.contrib.dkim  # noqa: F401
