"""Complete sessions of every kind, each of which :mod:`tests.faults.campaign` has go wrong at every byte.

A session sends a few letters, keeps the verdict on each, and then has to work again. Among the letters are
one with a recipient that is refused, and one that nobody takes.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, NamedTuple

import aiosmtplib
from aiosmtplib import LMTP, SMTP, Delivery, Envelope, SMTPPool

from ..support import certs
from ..support.model_server import PASSWORD, USER, Manners
from ..support.scripted_server import PATIENCE
from .faulty_relay import BITS, NONE, Fault, FaultRelay

__all__ = ("AFTER", "KINDS", "LETTERS", "Kind", "Said", "Session")

SENDER = "a@e.x"
AFTER = "z@e.x"
UNKNOWN = (b"x1@e.x", b"x2@e.x")
FULL = (b"f@e.x",)


class Letter(NamedTuple):
    recipients: tuple[str, ...]
    content: bytes

    @property
    def envelope(self) -> Envelope:
        return Envelope(SENDER, self.recipients, self.content)

    @property
    def object(self) -> EmailMessage:
        message = EmailMessage()
        message["From"] = SENDER
        message["To"] = ", ".join(self.recipients)
        message["Subject"] = "object"
        message.set_content(".dot\n")
        return message

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        yield self.content[:9]
        await asyncio.sleep(0)
        yield self.content[9:]


def _letter(name: str, *recipients: str) -> Letter:
    return Letter(tuple(f"{each}@e.x" for each in recipients), f"Subject: {name}\n\n.dot\n".encode())


ONE, SOME, NOBODY, LAST, FILLED = (
    _letter("one", "b0"),
    _letter("some", "b1", "x1"),
    _letter("nobody", "x2"),
    _letter("last", "b3"),
    _letter("full", "b4", "f", "x1"),
)
LETTERS = (ONE, SOME, NOBODY, LAST)
#: What comes of them where nothing goes wrong.
EXPECTED = {NOBODY: Delivery.REJECTED}


class Said(NamedTuple):
    """What the client says became of a letter."""

    letter: Letter
    delivery: Delivery
    refused: frozenset[str]


class Session:
    """One session of a kind, with one fault in it."""

    def __init__(self, kind: "Kind", relay: FaultRelay, fault: Fault, patience: float) -> None:
        self.kind = kind
        self.letters = kind.letters
        self.said: list[Said] = []
        # Where the client may be left waiting, it does not wait for long: a verdict has to be true however
        # long that is. Where it is told, it must not need the timeout.
        self.told = fault.kind != "stall" and fault.kind not in BITS
        self.timeout = PATIENCE if self.told else kind.timeout * patience
        self.relay = relay
        self.options: dict[str, Any] = {
            "hostname": relay.host,
            "port": relay.port,
            "local_hostname": "me",
            "timeout": self.timeout,
            **kind.options,
        }

    async def note(self, letter: Letter, sending: Awaitable[tuple[Any, str]]) -> None:
        try:
            refused, _ = await sending
        except aiosmtplib.SMTPException as error:
            self.said.append(Said(letter, error.delivery, frozenset()))
        else:
            self.said.append(Said(letter, Delivery.DELIVERED, frozenset(refused)))

    async def note_all(self, results: Any) -> None:
        async for result in results:
            refused = frozenset(result.refused)
            self.said.append(Said(self.letters[result.index], result.delivery, refused))

    def note_failure(self, error: aiosmtplib.SMTPException) -> None:
        """All letters that nothing was said about fail by this error."""
        missing = self.letters[len(self.said) :]
        self.said += [Said(letter, error.delivery, frozenset()) for letter in missing]


Way = Callable[[Any, Session], Awaitable[None]]


# -- what is done with a client or a pool ------------------------------------------------------------


async def sendmail(client: Any, session: Session) -> None:
    for letter in session.letters:
        await session.note(letter, client.sendmail(SENDER, letter.recipients, letter.content))


async def stream(client: Any, session: Session) -> None:
    for letter in session.letters:
        async with contextlib.aclosing(letter.pieces()) as pieces:
            await session.note(letter, client.sendmail(SENDER, letter.recipients, pieces))


async def send_message(client: Any, session: Session) -> None:
    for letter in session.letters:
        await session.note(letter, client.send_message(letter.object))


async def send_many(client: Any, session: Session) -> None:
    await session.note_all(client.send_many([letter.envelope for letter in session.letters]))


async def together(pool: Any, session: Session) -> None:
    await asyncio.gather(
        *(
            session.note(letter, pool.sendmail(SENDER, letter.recipients, letter.content))
            for letter in session.letters
        )
    )


# -- whole sessions ----------------------------------------------------------------------------------


async def with_client(session: Session, way: Way, make: type[SMTP] = SMTP) -> None:
    client = make(**session.options)
    try:
        await client.connect()
        await way(client, session)
        if client.is_connected:
            await client.quit()
    except aiosmtplib.SMTPException as error:
        session.note_failure(error)
    client.close()
    assert not client.is_connected
    session.relay.disarm()
    client.timeout = PATIENCE
    await client.connect()
    await client.noop()
    await client.quit()


async def with_lmtp(session: Session, way: Way) -> None:
    await with_client(session, way, LMTP)


async def with_pool(session: Session, way: Way) -> None:
    pool = SMTPPool(**session.options)
    await way(pool, session)
    session.relay.disarm()
    await still_sends(pool, session)
    stats = pool.stats()
    assert (stats.busy, stats.waiting) == (0, 0)
    await pool.aclose(None if session.told else 2 * session.timeout)
    stats = pool.stats()
    assert (stats.idle, stats.busy, stats.opening, stats.closing) == (0, 0, 0, 0)


async def still_sends(pool: SMTPPool, session: Session) -> None:
    """The pool serves others: at once, or once a timeout has shown it that a connection is of no use."""
    while True:
        try:
            await pool.sendmail(SENDER, AFTER, ONE.content)
            return
        except aiosmtplib.SMTPException as error:
            if session.told and error.delivery is not Delivery.UNKNOWN:
                raise
            # The fault may be in this message, or make all wait that use this connection: it is replaced.


async def with_calls(session: Session, way: Way) -> None:
    """One connection for each letter; the fault is in that of the first."""
    del way
    for letter in session.letters:
        await session.note(
            letter, aiosmtplib.send(letter.content, SENDER, letter.recipients, **session.options)
        )
        session.relay.disarm()
        session.options["timeout"] = PATIENCE


@dataclass(frozen=True)
class Kind:
    """One kind of session.

    :ivar hurt: to how many of its connections the fault happens
    :ivar timeout: seconds that the client waits where the fault is one that it may have to wait for
    :ivar width: how many such sessions run at a time: so many that waiting costs little, and so few that
        none is late because of the others
    """

    name: str
    whole: Callable[[Session, Way], Awaitable[None]]
    way: Way
    extensions: Sequence[str] = ()
    letters: tuple[Letter, ...] = LETTERS
    options: dict[str, Any] = field(default_factory=dict)
    lmtp: bool = False
    tls: str = ""
    inside: bool = False
    hurt: int = 1
    timeout: float = 0.15
    width: int = 64

    def relay(self) -> FaultRelay:
        manners = Manners(self.extensions, self.lmtp, UNKNOWN, FULL)
        context = _server_context() if self.tls else None
        return FaultRelay(manners, tls=context, implicit=self.tls == "implicit", inside=self.inside)

    async def run(self, relay: FaultRelay, fault: Fault = NONE, patience: float = 1) -> Session:
        """Run a session to its end, and see that nothing in it takes forever.

        :param patience: how many times longer than usual the client waits
        """
        relay.arm(fault, self.hurt)
        session = Session(self, relay, fault, patience)
        if self.tls:
            session.options["tls_context"] = _client_context()
        await asyncio.wait_for(self.whole(session, self.way), 3 * PATIENCE)
        await relay.quiet()
        return session


_contexts: dict[str, Any] = {}


def _server_context() -> Any:
    if "server" not in _contexts:
        _contexts["server"] = certs.server_context()
        _contexts[
            "server"
        ].num_tickets = 1  # there is one to be cut, and the session is no longer than it must
    return _contexts["server"]


def _client_context() -> Any:
    if "client" not in _contexts:
        _contexts["client"] = certs.client_context()
    return _contexts["client"]


PIPELINING = ("PIPELINING",)
CHUNKING = ("PIPELINING", "CHUNKING")
LOGIN: dict[str, Any] = {"username": USER, "password": PASSWORD}
SECURE: dict[str, Any] = {"tls": "starttls", "options": {"start_tls": True}, "timeout": 0.5, "width": 24}
IMPLICIT: dict[str, Any] = {"tls": "implicit", "options": {"use_tls": True}, "timeout": 0.5, "width": 24}
STARTTLS = ("PIPELINING", "STARTTLS")
TWO: dict[str, Any] = {"options": {"max_connections": 2}}

KINDS = [
    Kind("plain", with_client, sendmail),
    Kind("pipelined", with_client, sendmail, PIPELINING),
    Kind("BDAT", with_client, sendmail, CHUNKING, options={"chunking": True}),
    Kind("streamed DATA", with_client, stream, PIPELINING),
    Kind("streamed BDAT", with_client, stream, CHUNKING),
    Kind("message objects", with_client, send_message, (*PIPELINING, "8BITMIME", "SIZE 9999"), (NOBODY, ONE)),
    Kind("send_many DATA", with_client, send_many, PIPELINING),
    Kind("send_many BDAT", with_client, send_many, CHUNKING),
    Kind("send_many one by one", with_client, send_many),
    Kind("AUTH PLAIN", with_client, sendmail, ("AUTH PLAIN", *PIPELINING), (ONE,), LOGIN),
    Kind("AUTH SCRAM", with_client, sendmail, ("AUTH SCRAM-SHA-256", *PIPELINING), (ONE,), LOGIN),
    Kind("send()", with_calls, sendmail, PIPELINING, (ONE, SOME)),
    Kind("pool", with_pool, together, PIPELINING, **TWO),
    Kind("pool, both hurt", with_pool, together, PIPELINING, hurt=2, **TWO),
    Kind("pool send_many DATA", with_pool, send_many, PIPELINING, **TWO),
    Kind("pool send_many BDAT", with_pool, send_many, CHUNKING, **TWO),
    Kind("pool streamed", with_pool, stream, CHUNKING, (ONE, SOME), **TWO),
    Kind("LMTP", with_lmtp, sendmail, PIPELINING, (FILLED, ONE), lmtp=True),
    Kind("LMTP send_many", with_lmtp, send_many, PIPELINING, (ONE, FILLED, NOBODY), lmtp=True),
    Kind(
        "LMTP pool",
        with_pool,
        send_many,
        PIPELINING,
        (FILLED, ONE),
        {"client_class": LMTP, "max_connections": 1},
        lmtp=True,
    ),
    Kind("STARTTLS", with_client, sendmail, STARTTLS, (ONE, SOME), **SECURE),
    Kind("implicit TLS", with_client, send_many, PIPELINING, (ONE, SOME), **IMPLICIT),
    Kind("inside STARTTLS", with_client, sendmail, STARTTLS, (ONE, SOME), inside=True, **SECURE),
    Kind("inside implicit TLS", with_client, send_many, CHUNKING, (ONE, SOME), inside=True, **IMPLICIT),
]
