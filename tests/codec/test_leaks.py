"""Nothing is left behind: neither by good input nor by bad, nor where errors break off, nor in cycles.

A reference too many keeps an object for ever, one too few frees what is in use. Both show in a loop.
"""

import ctypes
import gc
import random
import sys
import weakref
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest

from aiosmtplib._codec.types import LAST, MORE
from aiosmtplib._session.transaction import transaction
from aiosmtplib.errors import SMTPException, SMTPServerDisconnected
from aiosmtplib.response import SMTPResponse
from aiosmtplib.status import Delivery

from ..support.codec_calls import Case, cases, session_twin

ROUNDS = 20
LIMITS = (8192, 32768)

#: What everybody uses. Where an interpreter has made some of them immortal, their counts never change.
SHARED: list[Any] = [None, True, False, b"", (), SMTPResponse, SMTPServerDisconnected, *Delivery, 250, -1]


def _counts(these: Sequence[Any]) -> list[int]:
    return [sys.getrefcount(one) for one in these]


def _run(these: Sequence[Case], rounds: int) -> None:
    for _ in range(rounds):
        random.seed(1)  # boundaries are looked for by expressions, which are cached
        for case in these:
            case.run()


def grown(these: Sequence[Case], least: int = 1) -> dict[str, int]:
    """By how much the counts differ after some rounds, where it is by so many in each round or more."""
    # What is filled once is filled now: caches, and blocks of lists that are kept for reuse.
    _run(these, 3)
    # What happens once in a while is no leak: a table that grows, a cache that is emptied when it is full.
    # Nor is what comes to an end: Python 3.10 goes on filling caches of its own. A leak shows every time.
    found = _grown(these, least)
    for _ in range(8):
        if found:
            again = _grown(these, least)
            found = {name: again[name] for name in found if name in again}
    return found


def _grown(these: Sequence[Case], least: int) -> dict[str, int]:
    args = [arg for case in these for arg in case.args if type(arg) is not int]
    names = [f"{arg!r:.30}" for arg in args]
    gc.collect()
    counted, shared = _counts(args), _counts(SHARED)
    objects, blocks = len(gc.get_objects()), sys.getallocatedblocks()
    _run(these, ROUNDS)
    gc.collect()
    found = {"blocks": sys.getallocatedblocks() - blocks, "objects": len(gc.get_objects()) - objects}
    found |= {str(one): now - then for one, now, then in zip(SHARED, _counts(SHARED), shared, strict=True)}
    found |= {name: now - then for name, now, then in zip(names, _counts(args), counted, strict=True)}
    return {name: number for name, number in found.items() if abs(number) >= ROUNDS * least}


def test_nothing_grows(codec: ModuleType) -> None:
    ours = [case for case in cases(codec) if not case.generated]
    assert grown(ours) == {}
    # Python makes a class for each field that it folds, and forgets the class some time after that.
    others = [case for case in cases(codec) if case.generated]
    assert grown(others, len(others) // 8) == {}


def _keeps(kept: list[Any]) -> None:
    kept += object(), object()  # more than what the interpreter may release meanwhile


def _counts_once_more(value: Any) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


@pytest.mark.parametrize(
    ("leak", "arg", "what"),
    [
        # None of the allocator's blocks are counted where malloc does all, as under a sanitizer.
        (_keeps, [], "blocks" if sys.getallocatedblocks() else None),
        (_counts_once_more, bytearray(b"an argument"), "bytearray(b'an argument')"),
        (_counts_once_more, SMTPServerDisconnected, str(SMTPServerDisconnected)),
    ],
)
def test_a_leak_is_found(leak: Callable[[Any], None], arg: Any, what: str | None) -> None:
    found = grown([Case("leak", leak, (arg,))])
    if what is not None:
        assert found[what] >= ROUNDS


def test_results_belong_to_the_caller_alone(codec: ModuleType) -> None:
    def made() -> Any:
        return bytes(bytearray(b"of nobody else"))

    alone, (named,) = sys.getrefcount(made()), [made()]
    parser = codec.ReplyParser()
    for call in (
        lambda: codec.encode_data(b"a\n.b"),
        lambda: codec.normalize_newlines(b"a\n.b"),
        lambda: codec.encode_command(b"MAIL", b"FROM:<a@b>"),
        lambda: codec.encode_recipients(["a@b"], b" X=1"),
        lambda: codec.plain_envelope("a@b", ["c@d"]),
        lambda: codec.plain_envelope("a@b", ["c@d"]).prepare(b"", 2, True, False, False),
        lambda: codec.plain_address("Name <a@b.example>"),
        lambda: codec.DataEncoder().encode(b"a\n.b"),
    ):
        count = sys.getrefcount(call())  # not in an assertion, which keeps what it shows
        assert count == alone
    (reply,) = parser.feed(b"250-many\r\n250 words\r\n", *LIMITS)
    message = reply.message
    wire, _ = codec.encode_message(b"a\n.b")
    counts = [sys.getrefcount(one) for one in (named, wire, reply, message)]
    assert counts == [counts[0], counts[0], counts[0], counts[0] + 1]  # the tuple has the message, too


class Canary:
    """Tells when it is gone, together with the cycle that it was in."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def _collected(make: Callable[[], Canary]) -> bool:
    canary = weakref.ref(make())
    assert canary() is not None, "there was no cycle"
    gc.collect()
    return canary() is None


def _waiting() -> Any:
    yield b"A\r\n", 1, MORE
    yield b"B\r\n", 1, LAST


def test_a_session_in_a_cycle_is_collected(codec: ModuleType) -> None:
    twin = session_twin(codec)

    def running() -> Canary:
        session = twin.Session()
        canary = Canary(session=session)
        session.start(twin.Exchange(_waiting(), None, canary))
        return canary

    def over() -> Canary:
        session = twin.Session()
        exchange = twin.Exchange(iter(()), None, None)
        exchange.dialogue, exchange.result = _waiting(), Canary(session=session)
        session.start(exchange)
        session.fail(SMTPServerDisconnected("gone"), 0)
        canary: Canary = exchange.result
        return canary

    def unseen() -> Canary:
        session = twin.Session()
        error = SMTPException("gone")
        canary = error.canary = Canary(session=session)  # type: ignore[attr-defined]
        session.fail(error, 0)
        return canary

    def itself() -> Canary:
        exchange = twin.Exchange(_waiting())
        exchange.replies.append(exchange)
        exchange.pipeline = Canary(exchange=exchange)
        canary: Canary = exchange.pipeline
        return canary

    for make in (running, over, unseen, itself):
        assert _collected(make), make.__name__


def test_a_transaction_in_a_cycle_is_collected(codec: ModuleType) -> None:
    twin = session_twin(codec)

    class Server(twin.ServerState):  # type: ignore[name-defined, misc]
        """One that a test can follow."""

    def make(codes: list[int]) -> Canary:
        server = Server()
        mail = twin.PreparedMail("a@b", ["c@d"], b"MAIL\r\nRCPT\r\n", b"hi\r\n.\r\n", True)
        dialogue = twin.start_transaction(mail, server, transaction)
        canary: Canary = Canary(server=server, dialogue=dialogue)
        server.canary = canary
        dialogue.send(None)
        if codes:
            dialogue.send([SMTPResponse(code, "text") for code in codes])
        return canary

    for codes in ([], [250, 250, 354], [250, 250, 550]):
        try:
            assert _collected(lambda codes=codes: make(codes)), codes  # type: ignore[misc]
        except SMTPException:
            assert codes == [250, 250, 550]
