"""What each public coroutine is called on, and how: the table for :mod:`tests.public.test_every_await`."""

import asyncio
import contextlib
import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiosmtplib
from aiosmtplib import LMTP, SMTP, Delivery, Envelope, SMTPPool
from aiosmtplib._session import dialogues
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.testing import Server

from ..faults.faulty_relay import FaultRelay
from . import certs
from .clients import email_message
from .model_server import PASSWORD, USER, Manners
from .sasl_server import EVERY
from .scripted_server import PATIENCE

__all__ = ("AFTER", "CASES", "NEIGHBOUR", "SENDER", "TEXT", "TO", "Case", "Scene", "public_coroutines")

SENDER, TO, NEIGHBOUR, AFTER = "a@e.x", "b@e.x", "n@e.x", "z@e.x"
TEXT = b"Subject: one\r\n\r\n.dot\r\n"
EXTENSIONS = ("8BITMIME", "PIPELINING", "CHUNKING", "AUTH " + " ".join(EVERY))
TWO = [Envelope(SENDER, TO, TEXT), Envelope(SENDER, TO.replace("b", "c"), TEXT)]


class Scene:
    """A server, and what a case does with it.

    :ivar said: what the client has said of messages so far, by recipient
    """

    client: Any
    pool: SMTPPool
    protocol: SMTPProtocol
    results: Any
    server: Server
    writer: asyncio.StreamWriter

    def __init__(self, case: "Case", relay: FaultRelay) -> None:
        self.said: dict[str, Delivery] = {}
        self.options: dict[str, Any] = {
            "hostname": relay.host,
            "port": relay.port,
            "local_hostname": "me",
            "timeout": PATIENCE,
            "start_tls": False,
            **case.options,
        }
        if relay.tls is not None:
            self.options |= {"tls_context": certs.client_context(), "use_tls": relay.implicit}
        if self.options.get("use_tls"):
            del self.options["start_tls"]

    def say(self, result: Any) -> None:
        self.said[result.item.recipients] = result.delivery

    async def open_protocol(self) -> None:
        options = {"ssl": self.options["tls_context"]} if self.options.get("use_tls") else {}
        where = self.options["hostname"], self.options["port"]
        _, self.protocol = await asyncio.get_running_loop().create_connection(SMTPProtocol, *where, **options)


Act = Callable[[Scene], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """How a coroutine is called.

    :ivar run: calls it; this is what is cancelled
    :ivar before: what comes before
    :ivar sends: whether ``TO`` gets a message by it
    :ivar door: ``"client"``, ``"pool"``, ``"protocol"``, ``"call"`` or ``"server"``: what it belongs to
    :ivar refused: whether the server refuses it
    :ivar closes: whether a pool is closed by it
    """

    run: Act
    door: str = "client"
    before: Act | None = None
    sends: bool = False
    make: type[SMTP] = SMTP
    options: dict[str, Any] = field(default_factory=dict)
    tls: str = ""
    refused: bool = False
    closes: bool = False

    def relay(self) -> FaultRelay:
        extensions = ("STARTTLS", *EXTENSIONS) if self.tls == "starttls" else EXTENSIONS
        context = certs.server_context() if self.tls else None
        return FaultRelay(
            Manners(extensions, self.make is LMTP), tls=context, implicit=self.tls == "implicit"
        )


async def pieces() -> AsyncIterator[bytes]:
    yield TEXT[:9]
    await asyncio.sleep(0)
    yield TEXT[9:]


async def source() -> AsyncIterator[Envelope]:
    for each in TWO:
        await asyncio.sleep(0)
        yield each


async def mail(scene: Scene) -> None:
    await scene.client.mail(SENDER)


async def envelope(scene: Scene) -> None:
    await scene.client.mail(SENDER)
    await scene.client.rcpt(TO)


async def hello(scene: Scene) -> None:
    await scene.client.ehlo()


async def greeted(scene: Scene) -> None:
    await scene.open_protocol()
    await scene.protocol.read_response(PATIENCE)


async def by_hand(scene: Scene) -> None:
    await greeted(scene)
    for command in (b"EHLO me", b"MAIL FROM:<a@e.x>", b"RCPT TO:<b@e.x>"):
        await scene.protocol.execute_command(command, timeout=PATIENCE)


async def closing(scene: Scene) -> None:
    await greeted(scene)
    scene.protocol.close()


async def first_result(scene: Scene) -> None:
    owner = scene.pool if hasattr(scene, "pool") else scene.client
    scene.results = owner.send_many(source())
    scene.say(await anext(scene.results))


async def all_results(scene: Scene) -> None:
    owner = scene.pool if hasattr(scene, "pool") else scene.client
    async with owner.send_many(source()) as results:
        async for result in results:
            scene.say(result)


async def enter_results(scene: Scene) -> None:
    owner = scene.pool if hasattr(scene, "pool") else scene.client
    scene.results = owner.send_many(TWO)
    await scene.results.__aenter__()


async def close_results(scene: Scene) -> None:
    for result in await scene.results.aclose():
        scene.say(result)


async def call_send_many(scene: Scene) -> None:
    results = aiosmtplib.send_many(source(), max_connections=1, **scene.options)
    async with contextlib.aclosing(results):
        async for result in results:
            scene.say(result)


async def ask(scene: Scene) -> None:
    scene.protocol.write(b"NOOP\r\n")
    await scene.protocol.read_response(PATIENCE)


async def enter_server(scene: Scene) -> None:
    server = Server()
    await server.__aenter__()
    scene.server = server


async def occupied_server(scene: Scene) -> None:
    await enter_server(scene)
    scene.client = SMTP(**scene.server.connect_options)
    await scene.client.connect()


async def addressed_server(scene: Scene) -> None:
    await enter_server(scene)
    _, scene.writer = await asyncio.open_connection(scene.server.host, scene.server.port)


async def await_mail(scene: Scene) -> None:
    scene.writer.write(b"EHLO me\r\nMAIL FROM:<a@e.x>\r\nRCPT TO:<b@e.x>\r\nDATA\r\nhi\r\n.\r\n")
    try:
        await scene.server.wait_for(1, PATIENCE)
    finally:
        scene.writer.close()


def _clients(make: type[SMTP]) -> Iterator[tuple[str, Case]]:
    login: Any = {"before": hello, "make": make}
    lmtp = make is LMTP
    for mechanism in ("plain", "login", "crammd5", "scramsha1", "scramsha256"):
        yield f"auth_{mechanism}", Case(_method(f"auth_{mechanism}", USER, PASSWORD), **login)
    yield (
        "auth_scramsha256plus",  # the server knows nothing of channel bindings
        Case(_method("auth_scramsha256plus", USER, PASSWORD), tls="implicit", refused=True, **login),
    )
    yield "auth_external", Case(_method("auth_external", ""), **login)
    yield "auth_xoauth2", Case(_method("auth_xoauth2", USER, "token"), **login)
    yield "auth_oauthbearer", Case(_method("auth_oauthbearer", USER, "stale"), refused=True, **login)
    yield "login", Case(_method("login", USER, PASSWORD), make=make)
    options = {"username": USER, "password": PASSWORD, "local_hostname": None}
    yield "connect", Case(_method("connect"), "unconnected", make=make, options=options)
    yield "__aenter__", Case(_method("__aenter__"), "unconnected", make=make, tls="implicit")
    yield "__aexit__", Case(_method("__aexit__", None, None, None), make=make, tls="implicit")
    yield "starttls", Case(_method("starttls"), make=make, tls="starttls")
    for name in ("ehlo", "help", "noop", "quit", "rset"):
        yield name, Case(_method(name), make=make)
    yield "helo", Case(_method("helo"), make=make, refused=lmtp)
    yield "execute_command", Case(_method("execute_command", b"NOOP"), make=make)
    for name in ("vrfy", "expn", "mail"):
        yield name, Case(_method(name, SENDER), make=make)
    yield "rcpt", Case(_method("rcpt", TO), before=mail, make=make)
    yield "data", Case(_method("data", TEXT), before=envelope, sends=not lmtp, make=make, refused=lmtp)
    yield "sendmail", Case(_method("sendmail", SENDER, TO, TEXT), sends=True, make=make)
    yield "sendmail streamed", Case(_streamed("client"), sends=True, make=make)
    yield (
        "send_message",
        Case(_method("send_message", email_message(TO, sender=SENDER)), sends=True, make=make),
    )


def _method(name: str, *args: Any) -> Act:
    return lambda scene: getattr(scene.client, name)(*args)


def _streamed(door: str) -> Act:
    async def run(scene: Scene) -> None:
        stream = pieces()
        try:
            await getattr(scene, door).sendmail(SENDER, TO, stream)
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    return run


def _pool(name: str, *args: Any, **more: Any) -> Case:
    return Case(
        lambda scene: getattr(scene.pool, name)(*args), "pool", options={"max_connections": 1}, **more
    )


def _protocol(run: Act, before: Act = greeted, **more: Any) -> Case:
    return Case(run, "protocol", before, **more)


STREAM = Case(_streamed("client"), sends=True)
CASES: dict[str, Case] = {
    **{f"SMTP.{name}": case for name, case in _clients(SMTP)},
    **{f"LMTP.{name}": case for name, case in _clients(LMTP)},
    "SendMany.__anext__": Case(all_results, sends=True),
    "SendMany.__aenter__": Case(enter_results),
    "SendMany.__aexit__": Case(lambda scene: scene.results.__aexit__(None, None, None), before=first_result),
    "SendMany.aclose": Case(close_results, before=first_result),
    "SendMany.__anext__ of a pool": Case(all_results, "pool", sends=True),
    "SendMany.__aenter__ of a pool": Case(enter_results, "pool"),
    "SendMany.__aexit__ of a pool": Case(
        lambda scene: scene.results.__aexit__(None, None, None), "pool", first_result
    ),
    "SendMany.aclose of a pool": Case(close_results, "pool", first_result),
    "SMTPPool.__aenter__": _pool("__aenter__"),
    "SMTPPool.__aexit__": _pool("__aexit__", None, None, None, closes=True),
    "SMTPPool.aclose": _pool("aclose", closes=True),
    "SMTPPool.aclose at once": _pool("aclose", 0, closes=True),
    "SMTPPool.verify": _pool("verify"),
    "SMTPPool.send": _pool("send", TEXT, SENDER, TO, sends=True),
    "SMTPPool.sendmail": _pool("sendmail", SENDER, TO, TEXT, sends=True),
    "SMTPPool.sendmail streamed": Case(_streamed("pool"), "pool", sends=True),
    "SMTPPool.send_message": _pool("send_message", email_message(TO, sender=SENDER), sends=True),
    "SMTPProtocol.read_response": _protocol(ask),
    "SMTPProtocol.execute_command": _protocol(
        lambda scene: scene.protocol.execute_command(b"NOOP", timeout=PATIENCE)
    ),
    "SMTPProtocol.execute_data_command": _protocol(
        lambda scene: scene.protocol.execute_data_command(TEXT, PATIENCE), by_hand, sends=True
    ),
    "SMTPProtocol.start_tls": _protocol(
        lambda scene: scene.protocol.start_tls(scene.options["tls_context"], "127.0.0.1", PATIENCE),
        tls="starttls",
    ),
    "SMTPProtocol.run": _protocol(lambda scene: scene.protocol.run(dialogues.command(b"NOOP\r\n"), PATIENCE)),
    "SMTPProtocol.wait_closed": _protocol(
        lambda scene: scene.protocol.wait_closed(), closing, tls="implicit"
    ),
    # A streamed message is what awaits these.
    "SMTPProtocol.push": STREAM,
    "SMTPProtocol.wait_for": STREAM,
    "SMTPProtocol.wait_until_wanted": STREAM,
    "send": Case(
        lambda scene: aiosmtplib.send(TEXT, SENDER, TO, **scene.options),
        "call",
        sends=True,
        options={"start_tls": True},
        tls="starttls",
    ),
    "send_many": Case(call_send_many, "call", sends=True),
    "Server.__aenter__": Case(enter_server, "server"),
    "Server.__aexit__": Case(
        lambda scene: scene.server.__aexit__(None, None, None), "server", occupied_server
    ),
    "Server.wait_for": Case(await_mail, "server", addressed_server),
}


def public_coroutines() -> set[str]:
    """What the package exports and can be awaited, by looking at it."""
    found: set[str] = set()
    values: list[Any] = [type(SMTP().send_many([])), type(SMTPPool().send_many([]))]
    for module in pkgutil.iter_modules(aiosmtplib.__path__):
        if not module.name.startswith("_"):
            exporting = importlib.import_module(f"aiosmtplib.{module.name}")
            values += [getattr(exporting, name) for name in getattr(exporting, "__all__", ())]
    for value in values:
        if inspect.isclass(value):
            for name in dir(value):
                public = not name.startswith("_") or name in ("__aenter__", "__aexit__", "__anext__")
                if public and inspect.iscoroutinefunction(getattr(value, name)):
                    found.add(f"{value.__name__}.{name}")
        elif inspect.iscoroutinefunction(value) or "AsyncGenerator" in str(_returned(value)):
            found.add(value.__name__)
    return found


def _returned(value: Any) -> Any:
    return getattr(value, "__annotations__", {}).get("return")
