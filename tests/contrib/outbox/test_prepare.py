"""An envelope is checked and written when it is enqueued, and has its Message-ID from then on."""

import email
import email.policy
import io
import os
import stat
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from aiosmtplib import Delivery, Envelope, SMTPPool, SMTPRecipientsRefused
from aiosmtplib.contrib.outbox import INLINE_LIMIT, DirectoryStore, Entry, Ledger, Stage, dump, load, prepare

from ...support.clients import email_message, options_for
from ...support.scripted_server import PIPELINING, Peer

RAW = b"Subject: x\r\n\r\nHi\r\n"
LARGE = RAW + b"x" * INLINE_LIMIT


def content(entry: Entry) -> bytes:
    message: Any = entry.envelope.message
    assert isinstance(message, bytes)
    return message


def test_a_message_object_gets_a_message_id_that_stays() -> None:
    message = email_message()
    before = message.as_bytes()
    entry = prepare(message)
    parsed = email.message_from_bytes(content(entry), policy=email.policy.SMTP)
    assert entry.message_id == parsed["Message-ID"] != ""
    assert parsed["Date"]
    assert entry.size == len(content(entry))
    assert message.as_bytes() == before
    assert load(dump(entry)).message_id == entry.message_id
    assert prepare(message).message_id != entry.message_id


@pytest.mark.parametrize(
    "raw",
    [
        "Message-ID: <1@example.com>\r\nDate: today\r\n\r\nMessage-ID: <2@example.com>\r\n",
        b"X: y\nDate: today\nmessage-id:\n <1@example.com>\n\nx",
        bytearray(b"X: y\r\nDate: today\r\nMESSAGE-ID : <1@example.com>\r\n"),
    ],
)
def test_a_message_keeps_the_message_id_that_it_has(raw: Any) -> None:
    entry = prepare(Envelope("a@example.com", ["b@example.com"], raw))
    assert entry.message_id == "<1@example.com>"
    assert content(entry) == (raw.encode() if isinstance(raw, str) else raw)


def test_a_message_id_that_is_none_is_not_shown() -> None:
    entry = prepare(Envelope("a@example.com", "b@example.com", b"Message-ID: none\r\nDate: x\r\n\r\n"))
    assert entry.message_id == ""


@pytest.mark.parametrize("kind", ["file", "pieces"])
def test_a_stream_is_read_and_completed(kind: str) -> None:
    stream: Any = io.BytesIO(RAW) if kind == "file" else iter([RAW[:5], memoryview(RAW)[5:]])
    entry = prepare(Envelope("a@example.com", "b@example.com", stream))
    assert content(entry).endswith(RAW)
    assert entry.message_id.endswith("@example.com>")


def test_an_address_that_needs_utf8_is_written_with_it() -> None:
    message = email_message()
    del message["To"]
    message["To"] = "zoë@example.com"
    entry = prepare(message)
    assert [*entry.envelope.mail_options] == ["SMTPUTF8", "BODY=8BITMIME"]
    assert "zoë@example.com".encode() in content(entry)
    message.replace_header("To", "you@bücher.example")
    assert [*prepare(message).envelope.mail_options] == []
    assert content(prepare(message)).isascii()


@pytest.mark.parametrize("kind", ["whole", "file"])
def test_a_large_content_goes_to_the_store(kind: str, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "a" / "b")
    stream: Any = LARGE if kind == "whole" else io.BytesIO(LARGE)
    entry = prepare(Envelope("a@example.com", "b@example.com", stream), bodies=store)
    assert content(entry) == b""
    assert entry.body is not None
    assert store.names() == [entry.body]
    with store.open(entry.body) as file:
        kept = file.read()
    assert kept.endswith(LARGE)
    assert (entry.size, entry.message_id.encode()) == (len(kept), kept.split(b"\r\n")[1][12:])
    assert stat.S_IMODE(os.stat(tmp_path / "a" / "b" / entry.body).st_mode) == 0o600


async def test_what_is_in_the_store_is_streamed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    entry = load(dump(prepare(Envelope("a@example.com", "b@example.com", LARGE), bodies=store)))
    async with Peer(extensions=PIPELINING) as peer:
        async with SMTPPool(**options_for(peer)) as pool:
            envelope: Any = entry.to_send(store)
            with envelope.message:
                results = [result async for result in pool.send_many([envelope])]
    assert [(each.delivery, each.tag) for each in results] == [(Delivery.DELIVERED, entry)]
    assert len(peer.accepted[0].content) == entry.size + 2
    with pytest.raises(ValueError, match="in a store"):
        entry.to_send()
    store.remove(entry.body or "")
    with pytest.raises(FileNotFoundError):
        entry.to_send(store)


def test_the_envelope_goes_as_it_was_given() -> None:
    envelope = Envelope("a@example.com", ["b@example.com"], RAW, ["BODY=8BITMIME"], ["NOTIFY=NEVER"], "x")
    entry = prepare(envelope)
    assert entry.to_send().tag is entry
    sent = entry.to_send(tag=3)
    assert (sent.sender, sent.recipients, sent.tag) == ("a@example.com", ("b@example.com",), 3)
    assert (sent.mail_options, sent.rcpt_options) == (("BODY=8BITMIME",), ("NOTIFY=NEVER",))
    assert Entry("1", Envelope("a@b.c", "d@e.f", b""), "", 0, 0).recipients == ["d@e.f"]


async def pieces() -> AsyncIterator[bytes]:
    yield RAW


def message_without(name: str) -> EmailMessage:
    message = email_message()
    del message[name]
    return message


@pytest.mark.parametrize(
    ("envelope", "error", "text"),
    [
        (Envelope("a@example.com", [], RAW), SMTPRecipientsRefused, "No recipients"),
        (Envelope("a@example.com", ["b@example.com", ""], RAW), ValueError, "empty"),
        (Envelope("a@example.com", ["b\r\nDATA@example.com"], RAW), ValueError, "address"),
        (Envelope("a>b@example.com", "b@example.com", RAW), ValueError, "address"),
        (Envelope(None, "b@example.com", RAW), ValueError, "needs sender"),
        (Envelope("a@example.com", None, RAW), ValueError, "needs sender"),
        (Envelope("a@example.com", "zoë@example.com", RAW), ValueError, "ascii"),
        (Envelope("a@example.com", "b@example.com", RAW, ["BODY 8BITMIME"]), ValueError, "option"),
        (Envelope("a@example.com", "b@example.com", RAW, [], ["X=\r\n"]), ValueError, "control"),
        (Envelope("a@example.com", "b@example.com", "Subject: ü"), ValueError, "ASCII"),
        (Envelope("a@example.com", "b@example.com", pieces()), TypeError, "asynchronous"),
        (Envelope("a@example.com", "b@example.com", LARGE), ValueError, "no store"),
        (message_without("From"), ValueError, "No From"),
        (message_without("To"), ValueError, "No recipient"),
        (object(), TypeError, "object"),
    ],
)
def test_what_cannot_be_sent_is_refused(envelope: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        prepare(envelope)


def test_what_is_too_large_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    with pytest.raises(ValueError, match="more than 1000 octets"):
        prepare(Envelope("a@example.com", "b@example.com", b"x" * 1001), max_size=1000)
    with pytest.raises(ValueError, match="more than 300000 octets"):
        large = Envelope("a@example.com", "b@example.com", io.BytesIO(b"x" * 300_001))
        prepare(large, bodies=store, max_size=300_000)
    assert [*tmp_path.iterdir()] == []


def test_names_of_contents_stay_in_the_directory(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert repr(store) == f"<DirectoryStore {tmp_path}>"
    for name in ("../a", "/etc/passwd", "", ".part", "a" * 101):
        with pytest.raises(ValueError, match="no name of a content"):
            store.open(name)


def test_a_copy_outlives_the_first(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    with store.create("a") as file:
        file.write(b"x")
    store.copy("a", "b")
    store.copy("a", "b")
    store.remove("a")
    store.remove("a")
    with store.open("b") as file:
        assert file.read() == b"x"
    with pytest.raises(FileNotFoundError):
        store.copy("a", "c")


def test_where_a_directory_cannot_be_opened_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DirectoryStore(tmp_path)
    monkeypatch.setattr("aiosmtplib.contrib.outbox.bodies.os.name", "nt")
    monkeypatch.setattr("aiosmtplib.contrib.outbox.bodies.os.fsync", lambda descriptor: None)
    with store.create("a") as file:
        file.write(b"x")


def test_the_stages_of_the_ledger() -> None:
    assert [each.value for each in Stage] == ["begun", "under way", "recorded"]
    assert {"begun", "under_way", "recorded", "stage"} <= vars(Ledger).keys()


def test_a_content_has_its_name_when_it_is_complete(tmp_path: Path) -> None:
    """Whoever looks for it finds all of it, or nothing."""
    store = DirectoryStore(tmp_path)
    with store.create("a") as file:
        file.write(b"half of it")
        file.flush()
        assert store.names() == []
        with pytest.raises(FileNotFoundError):
            store.open("a")
    with store.open("a") as file:
        assert file.read() == b"half of it"
