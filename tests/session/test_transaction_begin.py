"""The compiled way through a mail transaction cannot be told from the general one, whatever is replied.

Both are asked for the same transaction and given the same replies and losses, also with the next message
under way. What they write, return, raise and believe of the server must be the same.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiosmtplib._codec.types import MAX_GROUP, MAX_JOINED_CONTENT
from aiosmtplib._session import CHUNKS, LAST, OVERLAPPING, Dialogue, PreparedMail, ServerState
from aiosmtplib._session.transaction import begin, transaction
from aiosmtplib.errors import SMTPException, SMTPReadTimeoutError, SMTPServerDisconnected

from ..support.dialogues import reply

Begin = Callable[[PreparedMail, ServerState], Dialogue[Any]]
Answer = list[int] | str

CODES = st.sampled_from([250, 250, 250, 250, 251, 354, 354, 450, 550, 421, 200, 299, 199, 300])


class Case(NamedTuple):
    """A transaction, and what comes of each of its steps: replies, or a loss."""

    recipients: int
    pipelined: bool = True
    chunked: bool = False
    per_recipient: bool = False
    content: bytes | None = b"Subject: x\r\n\r\n.\r\n"
    dirty: bool = False
    #: Whether another transaction begins as soon as this one lets it.
    followed: bool = False
    #: Whether a transaction that began before this one fails meanwhile.
    spoiled: bool = False
    #: The codes to choose replies from; a loss comes when there are none left.
    codes: tuple[int, ...] = ()
    #: Whether the dialogue is closed instead of told of the loss.
    abandoned: bool = False


def mail(case: Case) -> PreparedMail:
    who = [f"r{i}@example.org" for i in range(case.recipients)]
    commands = b"MAIL FROM:<s@example.com>\r\n" + b"".join(b"RCPT TO:<%b>\r\n" % x.encode() for x in who)
    return PreparedMail(
        "s@example.com", who, commands, case.content, case.pipelined, case.chunked, case.per_recipient
    )


def seen(error: BaseException | None) -> object:
    if not isinstance(error, SMTPException):
        return error
    return type(error), repr(error.args), error.phase, error.delivery, error.replies, seen(error.__cause__)


def story(begin: Begin, case: Case) -> list[Any]:
    """All that happens."""
    server = ServerState()
    names: dict[PreparedMail | None, str] = {None: "none", (mine := mail(case)): "mine"}
    if case.dirty:
        server.mail = mail(case)
        names[server.mail] = "last"
    codes = list(case.codes)
    told: list[Any] = []
    dialogue = begin(mine, server)
    answer: Any = None
    loss = SMTPServerDisconnected
    try:
        while True:
            step = (dialogue.throw if isinstance(answer, SMTPException) else dialogue.send)(answer)
            told += [step, names[server.mail], server.failed]
            _, expected, follows = step
            server.failed = server.failed or case.spoiled
            if follows in OVERLAPPING and case.followed:
                server.mail = mail(case)
                names[server.mail] = "next"
            if follows == CHUNKS:  # its one chunk is pushed, and asks for a reply
                expected = 1
            if 0 <= expected <= len(codes):
                answer = [reply(code) for code in codes[:expected]]
                del codes[:expected]
            elif case.abandoned:
                dialogue.close()
                break
            else:
                answer = loss("lost")
                answer.replies = tuple(map(reply, codes))
                codes.clear()
                loss = SMTPReadTimeoutError
    except StopIteration as stop:
        told.append(stop.value)
    except SMTPException as error:
        told.append(seen(error))
    return [*told, names[server.mail], server.failed]


ALL = Case(2, codes=(250, 250, 251, 354, 250))
BDAT = Case(2, chunked=True, codes=(250, 250, 251, 250))
AGAIN = BDAT._replace(dirty=True, codes=(250, *BDAT.codes))


@given(
    st.builds(
        Case,
        recipients=st.integers(1, 3),
        pipelined=st.integers(0, 5).map(bool),
        chunked=st.booleans(),
        per_recipient=st.integers(0, 5).map(lambda one: not one),
        content=st.sampled_from([b"x\r\n.\r\n", b"x\r\n.\r\n", None]),
        dirty=st.integers(0, 2).map(lambda one: not one),
        followed=st.booleans(),
        spoiled=st.booleans(),
        codes=st.lists(CODES, max_size=9).map(tuple)
        | st.sampled_from(range(5)).map(lambda cut: ALL.codes[:cut])
        | st.integers(0, 5).map(lambda cut: AGAIN.codes[:cut])
        | st.tuples(st.integers(0, 4), CODES).map(
            lambda odd: (*AGAIN.codes[: odd[0]], odd[1], *AGAIN.codes[odd[0] + 1 :])
        )
        | st.tuples(st.integers(0, 4), CODES).map(
            lambda odd: (*ALL.codes[: odd[0]], odd[1], *ALL.codes[odd[0] + 1 :])
        ),
        abandoned=st.integers(0, 5).map(lambda one: not one),
    )
)
@example(ALL)
@example(ALL._replace(followed=True))
@example(ALL._replace(codes=(250, 250, 550, 354, 250)))
@example(ALL._replace(codes=(250, 250, 250, 354, 550), followed=True))
@example(ALL._replace(codes=(250, 250, 250, 354), followed=True))
@example(ALL._replace(codes=(250, 250, 250, 354), abandoned=True, followed=True))
@example(BDAT)
@example(BDAT._replace(content=b"x" * MAX_JOINED_CONTENT))
@example(BDAT._replace(followed=True))
@example(BDAT._replace(codes=(250, 250, 550, 250), followed=True))
@example(BDAT._replace(codes=(250, 250), followed=True, spoiled=True))
@example(AGAIN._replace(followed=True))
@example(AGAIN._replace(codes=(250, 250, 550, 250, 250), followed=True, spoiled=True))
@example(AGAIN._replace(codes=(500, *BDAT.codes), followed=True))
@example(ALL._replace(recipients=MAX_GROUP, codes=(250, *[250] * MAX_GROUP, 354, 250)))
@example(ALL._replace(recipients=MAX_GROUP + 1, codes=(250, *[250] * MAX_GROUP, 250, 354, 250)))
def test_both_ways_are_the_same(case: Case) -> None:
    assert story(begin, case) == story(transaction, case)


def test_the_plain_story_is_what_it_should_be() -> None:
    commands = (
        b"MAIL FROM:<s@example.com>\r\nRCPT TO:<r0@example.org>\r\nRCPT TO:<r1@example.org>\r\nDATA\r\n"
    )
    content = ALL.content
    assert story(begin, ALL) == [
        (commands, 4, 0),
        "mine",
        False,
        (content, 1, LAST),
        "none",
        False,
        ({}, reply(250)),
        "none",
        False,
    ]


@pytest.mark.parametrize("way", [begin, transaction])
def test_one_that_never_began_can_be_closed(way: Begin) -> None:
    server = ServerState()
    way(mail(ALL), server).close()
    assert server.mail is None
