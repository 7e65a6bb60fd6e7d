"""Sessions that go wrong at some bytes; ``slow`` at all of them (:mod:`tests.faults.campaign`).

The bytes are others on every day, so that in time all are tried. A failure says which it was:
``make faults ARGS="--kind NAME --fault FAULT"`` does it again.
"""

import asyncio
import datetime
import functools
import socket
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, Delivery

from . import campaign, faulty_relay
from .campaign import contradictions, left_over, open_files, sweep
from .faulty_relay import FAULTS, NONE, Fault
from .session_reader import conclusions, replies_of
from .sessions import KINDS, LETTERS, Kind, Said, Session, sendmail, with_client

#: Every so many bytes. Prime, so that it falls in step with no line.
STEP, TLS_STEP = 101, 499

BY_NAME = {kind.name: kind for kind in KINDS}
names = [kind.name for kind in KINDS]


def test_there_are_enough_kinds() -> None:
    assert len(BY_NAME) == len(KINDS) >= 12


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little time is spent waiting, at the price of trying again."""
    monkeypatch.setattr(campaign, "PATIENCE", (0.25, 4, 16))


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("name", names)
async def test_some_bytes(name: str) -> None:
    kind = BY_NAME[name]
    step = TLS_STEP if kind.tls and not kind.inside else STEP
    start = (datetime.date.today().toordinal() * 37 + names.index(name) * 11) % step
    tally = await sweep(kind, FAULTS, step, start)
    assert tally.wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("name", names)
async def test_every_byte(name: str) -> None:
    tally = await sweep(BY_NAME[name])
    assert tally.wrong == []
    assert tally.late <= tally.sessions // 20


# -- all of this can fail ----------------------------------------------------------------------------


class Optimist(SMTP):
    """Takes what it does not know for not sent."""

    async def sendmail(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().sendmail(*args, **options)
        except aiosmtplib.SMTPException as error:
            if error.delivery is Delivery.UNKNOWN:
                error.delivery = Delivery.NOT_SENT
            raise


class Believer(SMTP):
    """Takes no reply for a good one."""

    async def sendmail(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().sendmail(*args, **options)
        except aiosmtplib.SMTPServerDisconnected:
            return {}, ""


@pytest.mark.parametrize("make", [Optimist, Believer])
async def test_a_client_that_is_wrong_is_found_out(make: type[SMTP]) -> None:
    kind = replace(BY_NAME["pipelined"], whole=functools.partial(with_client, make=make))
    assert (await sweep(kind, ["cut"], 7)).wrong


LEFT: list[Any] = []


async def leave_a_task(session: Session, way: Any) -> None:
    await with_client(session, way)
    LEFT.append(asyncio.ensure_future(asyncio.Event().wait()))


async def leave_a_timer(session: Session, way: Any) -> None:
    await with_client(session, way)
    LEFT.append(asyncio.get_running_loop().call_later(1000, int))


async def leave_a_file(session: Session, way: Any) -> None:
    await with_client(session, way)
    LEFT.append(socket.socket())


async def leave_an_error(session: Session, way: Any) -> None:
    await with_client(session, way)
    asyncio.get_running_loop().create_future().set_exception(ValueError("unseen"))


@pytest.mark.parametrize("leave", [leave_a_task, leave_a_timer, leave_a_file, leave_an_error])
async def test_what_is_left_is_found(leave: Any) -> None:
    if leave is leave_a_timer and not hasattr(asyncio.get_running_loop(), "_scheduled"):
        pytest.skip("uvloop does not tell its timers")
    if leave is leave_a_file and sys.platform != "linux":
        pytest.skip("nothing tells the open files")
    kind = replace(BY_NAME["plain"], whole=leave, width=1)
    try:
        tally = await sweep(kind, ["cut"], 500)
    finally:
        for each in LEFT:
            each.close() if leave is leave_a_file else each.cancel()
        LEFT.clear()
    assert [text for text in tally.wrong if "left over" in text or "unseen" in text]


async def test_a_connection_that_stays_open_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = []

    async def whole(session: Session, way: Any) -> None:
        clients.append(SMTP(**session.options))
        await clients[-1].connect()

    monkeypatch.setattr(faulty_relay, "PATIENCE", 0.05)
    async with BY_NAME["plain"].relay() as relay:
        with pytest.raises(AssertionError, match="left 1 connection"):
            await replace(BY_NAME["plain"], whole=whole).run(relay)
        clients[0].close()
        await relay.quiet()


async def test_an_error_of_another_kind_is_found() -> None:
    async def whole(session: Session, way: Any) -> None:
        await with_client(session, way)
        if session.relay.lines[0].struck:
            raise ValueError("oops")

    tally = await sweep(replace(BY_NAME["plain"], whole=whole), ["reset"], 200)
    assert tally.wrong
    assert all("ValueError: oops" in text for text in tally.wrong)


@pytest.mark.parametrize(
    ("delivery", "refused", "ledger", "true"),
    [
        (Delivery.DELIVERED, {"x1@e.x"}, {"b1@e.x": 1}, True),
        (Delivery.DELIVERED, {"x1@e.x"}, {}, False),
        (Delivery.DELIVERED, {"x1@e.x"}, {"b1@e.x": 2}, False),
        (Delivery.DELIVERED, {"x1@e.x"}, {"b1@e.x": 1, "x1@e.x": 1}, False),
        (Delivery.DELIVERED, set(), {"b1@e.x": 1}, False),
        (Delivery.UNKNOWN, set(), {}, True),
        (Delivery.UNKNOWN, set(), {"b1@e.x": 1}, True),
        (Delivery.UNKNOWN, set(), {"b1@e.x": 2}, False),
        (Delivery.NOT_SENT, set(), {}, True),
        (Delivery.NOT_SENT, set(), {"b1@e.x": 1}, False),
        (Delivery.REJECTED, set(), {"b1@e.x": 1}, False),
    ],
)
def test_verdicts_and_ledger(delivery: Delivery, refused: set[str], ledger: Any, true: bool) -> None:
    kind = BY_NAME["plain"]
    session = Session(kind, kind.relay(), NONE, 1)
    session.said = [Said(LETTERS[1], delivery, frozenset(refused))]
    assert bool(contradictions(session, Counter(ledger))) is not true


# -- the excuse of having been misled ----------------------------------------------------------------

HELLO = b"220 a\r\n250 a\r\n"
MAIL = b"EHLO me\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nRCPT TO:<c>\r\nDATA\r\n"
TEXT = b"x\r\n..y\r\n.\r\n"
GO = b"250 a\r\n250 b\r\n550 c\r\n354 d\r\n"
D, R, N, U = Delivery.DELIVERED, Delivery.REJECTED, Delivery.NOT_SENT, Delivery.UNKNOWN


@pytest.mark.parametrize(
    ("sent", "got", "verdicts"),
    [
        (MAIL, b"220 a\r\n250-a\r\n250 b\r\n", {N}),
        (MAIL, HELLO + GO, {N}),
        (MAIL + TEXT[:-1], HELLO + GO, {N}),
        (MAIL + TEXT, HELLO + GO, {U}),
        (MAIL + TEXT, HELLO + GO + b"250 ok\r", {U}),
        (MAIL + TEXT, HELLO + GO + b"250 ok\r\n", {D}),
        (MAIL + TEXT, HELLO + GO + b"250-ok\r\n251 ok\r\n", {U}),
        (MAIL + TEXT, HELLO + GO + b"25\r\n", {U}),
        (MAIL + TEXT, HELLO + GO + b"552 no\r\n", {R}),
        (MAIL + TEXT, HELLO + GO + b"421 bye\r\n", {R, N}),
        (MAIL, HELLO + b"250 a\r\n550 b\r\n550 c\r\n554 d\r\n", {R, N}),
        (MAIL, HELLO + b"550 a\r\n503 b\r\n503 c\r\n503 d\r\n", {R, N}),
        (MAIL.replace(b"DATA", b"BDAT 2 LAST") + b"xx", HELLO + GO[:-7], {U}),
        (MAIL.replace(b"DATA", b"BDAT 2 LAST") + b"x", HELLO + GO[:-7], {N}),
        (MAIL.replace(b"DATA", b"BDAT 2 LAST") + b"xx", HELLO + GO[:-7] + b"250 ok\r\n", {D}),
        (MAIL.replace(b"DATA", b"BDAT 2") + b"xxBDAT 0 LAST\r\n", HELLO + GO[:-7] + b"250 \r\n250 \r\n", {D}),
        (MAIL.replace(b"DATA", b"BDAT 2") + b"xxRSET\r\n", HELLO + GO[:-7] + b"552 \r\n250 \r\n", {R, N}),
    ],
)
def test_the_reader(sent: bytes, got: bytes, verdicts: set[Delivery]) -> None:
    assert conclusions(sent, got, False) == {"b": verdicts, "c": verdicts}


def test_the_reader_of_lmtp_and_logins() -> None:
    sent = b"LHLO me\r\nAUTH PLAIN\r\nAAA=\r\n" + MAIL[9:].replace(b"<c>", b"<c>\r\nRCPT TO:<d>") + TEXT
    got = b"220 a\r\n250 b\r\n334 \r\n235 in\r\n250 a\r\n250 b\r\n550 c\r\n250 d\r\n354 e\r\n552 full\r\n"
    assert conclusions(sent, got, True)["b"] == {R, U}
    assert conclusions(sent, got + b"250 ok\r\n", True)["b"] == {R, D}


def test_replies_end_where_they_make_no_sense() -> None:
    assert replies_of(b"220 a\r\n250-b\r\n250 c\r\n") == [220, 250]
    assert replies_of(b"220 a\r\n250-b\r\n251 c\r\n") == [220]
    assert replies_of(b"220 a\r\n2500 b\r\n250 c\r\n") == [220]
    assert replies_of(b"220 a\r\n421 b\r\n250 c\r\n") == [220, 421]


@pytest.mark.parametrize("name", ["plain", "send_many BDAT"])
async def test_only_damage_misleads(name: str) -> None:
    tally = await sweep(BY_NAME[name], ["cut", "reset"], 13)
    assert (tally.misled, tally.wrong) == (0, [])
    assert (await sweep(BY_NAME[name], ["swap"], 5)).misled


async def test_nothing_is_left_of_a_handshake_that_never_began() -> None:
    """The connection ends with the 220: asyncio would keep a timer for the handshake."""
    kind = BY_NAME["STARTTLS"]
    async with kind.relay() as relay:
        await kind.run(relay)
        files = open_files()
        end = relay.lines[0].got.index(b"220 Go") + 8
        for fault in (Fault("cut", "down", end), Fault("reset", "down", end)):
            session = await kind.run(relay, fault)
            assert {said.delivery for said in session.said} == {Delivery.NOT_SENT}
            assert await left_over(files) == ""


# -- the relay ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "read"),
    [
        (Fault("none", "up", 0), b"220 desk\r\n250 Ok\r\n250 Ok\r\n"),
        (Fault("cut", "down", 0), b""),
        (Fault("cut", "down", 12), b"220 desk\r\n25"),
        (Fault("cut", "up", 6), b"220 desk\r\n250 Ok\r\n"),
        (Fault("cut", "up", 11), b"220 desk\r\n250 Ok\r\n"),
        (Fault("flip", "down", 10), b"220 desk\r\n350 Ok\r\n250 Ok\r\n"),
        (Fault("swap", "down", 10), b"220 desk\r\n450 Ok\r\n250 Ok\r\n"),
        (Fault("swap", "up", 0), b"220 desk\r\n500 What?\r\n250 Ok\r\n"),
        (Fault("flip", "up", 4), b"220 desk\r\n500 What?\r\n"),
        (Fault("stall", "up", 6), b"220 desk\r\n250 Ok\r\n"),
        (Fault("stall", "down", 3), b"220"),
        (Fault("reset", "down", 0), None),
        (Fault("reset", "up", 12), None),
    ],
)
async def test_what_passes(fault: Fault, read: bytes | None) -> None:
    async with BY_NAME["plain"].relay() as relay:
        relay.arm(fault)
        reader, writer = await asyncio.open_connection(relay.host, relay.port)
        writer.write(b"NOOP\r\nRSET\r\n")
        try:
            if read is None:
                with pytest.raises(ConnectionResetError):
                    await reader.read(-1)
            else:
                assert await reader.readexactly(len(read)) == read
                if fault.kind == "cut":
                    assert await reader.read(-1) == b""
        finally:
            writer.close()
        await relay.quiet()
        assert relay.lines[0].struck == (fault.kind != "none")


async def test_a_kind_can_be_made_by_hand() -> None:
    """What a session says of itself is what it did."""
    kind = Kind("by hand", with_client, sendmail, ("PIPELINING",), LETTERS[:1])
    async with kind.relay() as relay:
        session = await kind.run(relay)
        assert session.said == [Said(LETTERS[0], Delivery.DELIVERED, frozenset())]
        assert [taken.recipients for taken in relay.ledger] == [(b"b0@e.x",)]
        assert relay.ledger[0].content == b"Subject: one\r\n\r\n.dot\r\n"
        assert bytes(relay.lines[0].sent).endswith(b"\r\n..dot\r\n.\r\nQUIT\r\n")
