"""LMTP (RFC 2033): LHLO, and an answer for each recipient after the content."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import LMTP, Delivery, Envelope

from ..support.actions import cut, in_turn
from ..support.certs import client_context, server_context
from ..support.clients import MESSAGE, SENDER, email_message, options_for
from ..support.scripted_server import CHUNKING, PIPELINING, Action, Peer

TO = ["b@example.com", "c@example.com", "d@example.com"]


def lmtp_peer(actions: dict[str, Action] | None = None, **options: Any) -> Peer:
    return Peer(actions, lmtp=True, strict=True, **{"extensions": PIPELINING, **options})


@asynccontextmanager
async def connected(peer: Peer, **options: Any) -> AsyncIterator[LMTP]:
    client = LMTP(**options_for(peer, **options))
    try:
        await client.connect()
        yield client
    finally:
        client.close()
        await peer.hung_up()


def recipients(peer: Peer) -> list[list[str]]:
    return [[who.decode() for who in mail.recipients] for mail in peer.accepted]


@pytest.mark.parametrize("extensions", [(), PIPELINING, CHUNKING])
async def test_each_recipient_has_an_answer(extensions: tuple[str, ...]) -> None:
    actions: dict[str, Action] = {".": in_turn("250 b", "552 5.2.2 c is full", "250 d")}
    async with lmtp_peer(actions, extensions=extensions) as peer, connected(peer) as client:
        refused, text = await client.sendmail(SENDER, TO, MESSAGE)
        assert refused == {"c@example.com": (552, "5.2.2 c is full")}
        assert text == "b"
        assert recipients(peer) == [["b@example.com", "d@example.com"]]
        assert {"EHLO", "HELO", "BDAT"}.isdisjoint(peer.verbs)
        assert peer.verbs.count("LHLO") == 1
        await client.quit()


async def test_who_is_refused_before_has_no_answer_after() -> None:
    actions: dict[str, Action] = {
        "RCPT": in_turn("550 5.1.1 no b", "250 c", "250 d"),
        ".": in_turn("452 4.2.2 c is full", "250 d"),
    }
    async with lmtp_peer(actions) as peer, connected(peer) as client:
        refused, text = await client.send_message(email_message(", ".join(TO)))
        assert refused == {"b@example.com": (550, "5.1.1 no b"), "c@example.com": (452, "4.2.2 c is full")}
        assert text == "d"
        assert recipients(peer) == [["d@example.com"]]


async def test_all_refused_after_the_content() -> None:
    actions: dict[str, Action] = {".": in_turn("552 5.2.2 b", "452 4.2.2 c", "550 d", "250 e")}
    async with lmtp_peer(actions) as peer, connected(peer) as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, TO, MESSAGE)
        assert (caught.value.code, caught.value.message) == (552, "5.2.2 b")
        assert caught.value.delivery is Delivery.REJECTED
        assert [reply.code for reply in caught.value.replies[-3:]] == [552, 452, 550]
        await client.sendmail(SENDER, "e@example.com", MESSAGE)
        assert recipients(peer) == [["e@example.com"]]


@pytest.mark.parametrize("answers", [[], ["250 b"], ["250 b", "250 c"], ["550 b"]])
async def test_lost_amidst_the_answers_is_unknown(answers: list[str]) -> None:
    async with lmtp_peer({".": in_turn(*answers, cut)}) as peer, connected(peer) as client:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await client.sendmail(SENDER, TO, MESSAGE)
        assert caught.value.delivery is Delivery.UNKNOWN
        finals = caught.value.replies[5:]
        assert [f"{reply.code} {reply.message}" for reply in finals] == answers


async def test_many() -> None:
    actions: dict[str, Action] = {".": in_turn("250 0b", "550 0c", "550 1b", "550 1c", "250 2b", "250 2c")}
    async with lmtp_peer(actions, extensions=CHUNKING) as peer, connected(peer) as client:
        items = [Envelope(SENDER, TO[:2], MESSAGE) for _ in range(3)]
        results = [result async for result in client.send_many(items)]
        assert [result.delivery for result in results] == [
            Delivery.DELIVERED,
            Delivery.REJECTED,
            Delivery.DELIVERED,
        ]
        assert [dict(result.refused) for result in results] == [{"c@example.com": (550, "0c")}, {}, {}]
        assert recipients(peer) == [["b@example.com"], TO[:2]]
        assert "BDAT" not in peer.verbs


async def test_streams() -> None:
    async with lmtp_peer({".": in_turn("250 b", "550 c")}) as peer, connected(peer) as client:
        refused, text = await client.sendmail(SENDER, TO[:2], io.BytesIO(MESSAGE))
        assert (refused, text) == ({"c@example.com": (550, "c")}, "b")


async def test_binary_content_cannot_go() -> None:
    extensions = (*CHUNKING, "BINARYMIME")
    async with lmtp_peer(extensions=extensions) as peer, connected(peer) as client:
        with pytest.raises(aiosmtplib.SMTPNotSupported, match="BINARYMIME"):
            await client.sendmail(SENDER, TO, MESSAGE, ["BODY=BINARYMIME"])


async def test_lhlo_is_not_replaced_by_helo() -> None:
    async with lmtp_peer({"LHLO": "500 what?"}) as peer, connected(peer, start_tls=False) as client:
        with pytest.raises(aiosmtplib.SMTPHeloError):
            await client.sendmail(SENDER, TO, MESSAGE)
        assert peer.verbs == ["LHLO"]


async def test_ehlo_says_lhlo_and_helo_and_data_are_refused() -> None:
    async with lmtp_peer() as peer, connected(peer, start_tls=False) as client:
        assert (await client.ehlo()).code == 250
        with pytest.raises(aiosmtplib.SMTPNotSupported, match="LHLO"):
            await client.helo()
        with pytest.raises(aiosmtplib.SMTPNotSupported, match="sendmail"):
            await client.data(MESSAGE)
        assert peer.verbs == ["LHLO"]


async def test_starttls() -> None:
    async with (
        lmtp_peer(tls=server_context()) as peer,
        connected(peer, tls_context=client_context()) as client,
    ):
        await client.sendmail(SENDER, TO, MESSAGE)
        assert peer.verbs[:3] == ["LHLO", "STARTTLS", "LHLO"]
        assert recipients(peer) == [TO]


async def test_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "lmtp")
    async with lmtp_peer(path=path) as peer:
        async with LMTP(socket_path=path, local_hostname="me") as client:
            await client.sendmail(SENDER, TO, MESSAGE)
            assert repr(client) == f"<LMTP to {path}, connected>"
        assert recipients(peer) == [TO]


async def test_the_port_must_be_said() -> None:
    client = LMTP("localhost")
    assert repr(client) == "<LMTP to localhost on a port not given, not connected>"
    with pytest.raises(ValueError, match="no default port"):
        await client.connect()
    with pytest.raises(ValueError, match="port 25"):
        await client.connect(port=25)
    async with lmtp_peer() as peer:
        await client.connect(hostname=peer.host, port=peer.port)
        assert f"on port {peer.port}" in repr(client)
        await client.quit()


async def test_over_a_pool() -> None:
    async with lmtp_peer({".": in_turn("250 b", "550 c")}) as peer:
        options = options_for(peer)
        async with aiosmtplib.SMTPPool(**options, client_class=LMTP) as pool:
            refused, _ = await pool.sendmail(SENDER, TO[:2], MESSAGE)
            assert refused == {"c@example.com": (550, "c")}
    with pytest.raises(ValueError, match="no default port"):
        async with aiosmtplib.SMTPPool("localhost", client_class=LMTP) as pool:
            await pool.sendmail(SENDER, TO, MESSAGE)
