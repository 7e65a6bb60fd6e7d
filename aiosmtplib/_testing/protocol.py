"""aiosmtpd for tests: silent, with a script of failures, and with an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
import logging
import ssl
import warnings
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .failures import PHASES, Script
from .received import Inbox, ReceivedMessage

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

#: Without a handler, logging prints its warnings to standard error by itself.
_SILENCE = logging.NullHandler()


@dataclass
class Behaviour:
    """What a server does: what it announces, whom it lets in, what it refuses, and what it keeps.

    The options are those of :class:`aiosmtplib.testing.Server`.
    """

    users: Mapping[str, str] | None
    pipelining: bool
    smtputf8: bool
    size_limit: int
    refuse: Mapping[str, str]
    reply: str
    start_tls: ssl.SSLContext | None
    inbox: Inbox = field(default_factory=Inbox)
    script: Script = field(default_factory=Script)
    #: The open connections, and the tasks that aiosmtpd has for each.
    connections: dict[SMTP, set[asyncio.Task[Any]]] = field(default_factory=dict)


def import_aiosmtpd() -> None:
    """
    :raises ImportError: if the extra ``testing`` is not installed
    """
    with warnings.catch_warnings():
        # It imports names that newer Pythons deprecate, which its users cannot change.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import aiosmtpd.smtp  # noqa: F401
        except ImportError as exc:
            raise ImportError(missing("aiosmtpd")) from exc
    logging.getLogger("mail.log").addHandler(_SILENCE)


def missing(package: str) -> str:
    return f"aiosmtplib.testing needs {package}: pip install 'aiosmtplib[testing]'"


def protocol_factory(behaviour: Behaviour) -> Callable[[], SMTP]:
    """What makes the protocol of each connection."""
    from aiosmtpd.smtp import SMTP

    connections = behaviour.connections

    class Protocol(SMTP):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            # Called again after STARTTLS. The server waits in the end for the tasks that are started here.
            before = asyncio.all_tasks()
            super().connection_made(transport)
            connections.setdefault(self, set()).update(asyncio.all_tasks() - before)

        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            if all(task.done() for task in connections.get(self, ())):
                connections.pop(self, None)

        async def _handle_client(self) -> None:
            await fail(self, behaviour.script, "connect")
            await super()._handle_client()

    for phase in PHASES:
        if phase.isupper():
            name = f"smtp_{phase}"
            setattr(Protocol, name, _command(getattr(SMTP, name), behaviour.script, phase))

    def make() -> SMTP:
        protocol = Protocol(
            _Handler(behaviour),
            hostname="localhost",
            ident="aiosmtplib.testing",
            loop=asyncio.get_running_loop(),
            data_size_limit=behaviour.size_limit,
            enable_SMTPUTF8=behaviour.smtputf8,
            tls_context=behaviour.start_tls,
            auth_required=behaviour.users is not None,
            authenticator=_authenticator(behaviour.users or {}),
        )
        # Said to the constructor, it warns of passwords that go in plain text. These do not leave a test.
        protocol._auth_require_tls = behaviour.start_tls is not None
        return protocol

    return make


def _command(
    method: Callable[[SMTP, str], Coroutine[Any, Any, None]], script: Script, phase: str
) -> Callable[[SMTP, str], Coroutine[Any, Any, None]]:
    """A method of aiosmtpd for a command, with its failures."""

    async def smtp_command(protocol: SMTP, arg: str) -> None:
        reply = await fail(protocol, script, phase)
        if reply is None:
            await method(protocol, arg)
        else:
            await protocol.push(reply)

    # aiosmtpd reads syntax and help from attributes of its methods.
    vars(smtp_command).update(vars(method))
    return smtp_command


async def fail(protocol: SMTP, script: Script, phase: str) -> str | None:
    """Do what the script has for a phase.

    :return: the reply to give in place of the usual one, or ``None``
    :raises asyncio.CancelledError: if the connection has ended with it
    """
    failure = script.next(phase)
    if failure is None:
        return None
    await asyncio.sleep(failure.delay)
    transport: Any = protocol.transport
    if failure.drop:
        transport.abort()
        raise asyncio.CancelledError
    if failure.hangs_up:
        await protocol.push(failure.reply or "")
        transport.close()
        raise asyncio.CancelledError
    return failure.reply


def _authenticator(users: Mapping[str, str]) -> Callable[..., AuthResult]:
    def authenticate(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
    ) -> AuthResult:
        from aiosmtpd.smtp import AuthResult

        name = login.login.decode(errors="replace")
        known = users.get(name)
        success = known is not None and known.encode() == login.password
        # "Not handled" makes aiosmtpd write the 535.
        return AuthResult(success=success, handled=False, auth_data=name)

    return authenticate


class _Handler:
    """The handler of aiosmtpd, which calls a method for each command."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self._behaviour.pipelining:
            # The announcement suffices: aiosmtpd reads line by line, and keeps commands that arrive early.
            responses.insert(1, "250-PIPELINING")
        if self._behaviour.users is None:
            responses = [line for line in responses if not line.startswith("250-AUTH")]
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (refusal := self._behaviour.refuse.get(address)) is not None:
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (refusal := self._behaviour.refuse.get(address)) is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        reply = await fail(server, self._behaviour.script, "message") or self._behaviour.reply
        if reply.startswith("2"):
            self._behaviour.inbox.add(
                ReceivedMessage(
                    sender=(envelope.mail_from or "").removeprefix("<>"),
                    recipients=tuple(envelope.rcpt_tos),
                    content=bytes(envelope.original_content or b""),
                    mail_options=tuple(envelope.mail_options),
                    username=session.auth_data if session.authenticated else None,
                )
            )
        return reply
