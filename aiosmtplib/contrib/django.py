"""The e-mail backend for Django: ``"aiosmtplib.contrib.django.EmailBackend"``.

That is the ``BACKEND`` of an entry of ``MAILERS``, which Django has from 6.1 on, or ``EMAIL_BACKEND``. It is
Django's SMTP backend over a pool of :mod:`aiosmtplib.blocking`. All settings, and how a message becomes
envelope and octets, are Django's own.
"""

from __future__ import annotations

import hashlib
import smtplib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

try:
    from django.core.mail.backends import smtp
    from django.core.mail.utils import DNS_NAME
except ModuleNotFoundError as error:
    from .extras import missing

    raise ImportError(missing("django", "Django")) from error

from .. import errors
from .._client.results import Envelope
from .._sasl.secret import conceal, reveal
from ..blocking import SMTPPool

__all__ = ("EmailBackend",)

#: The pools of this process by their options.
_pools: dict[Any, SMTPPool] = {}

#: The options that hold a password.
_SECRETS = ("password", "proxy")


def _digest(secret: Any) -> bytes:
    """What a secret is known by, where it is not to be kept."""
    return hashlib.sha256(str(reveal(secret)).encode()).digest()


class _Connection:
    """What the backend has for a connection: the pool, and what Django hands over for each message."""

    def __init__(self, pool: SMTPPool, timeout: float | None) -> None:
        self.pool = pool
        self.timeout = timeout
        self._envelopes: list[Envelope] = []

    def sendmail(self, sender: str, recipients: Sequence[str], message: bytes) -> None:
        self._envelopes.append(Envelope(sender, recipients, message))

    def envelope(self) -> Envelope:
        return self._envelopes.pop()


class EmailBackend(smtp.EmailBackend):  # type: ignore[misc]  # Django has no types
    """Django's SMTP backend, with connections that are kept and shared by all threads of the process.

    Its settings and arguments are those of Django's backend, and so is what it raises: errors of
    :mod:`smtplib`, or an :exc:`OSError` where there is no connection. The error of this package is its
    ``__cause__``; the attribute ``delivery`` says what became of the message.

    ``close`` hands the connections back, and the pool closes those that nobody uses for a minute. Messages
    given to ``send_messages`` together go out together: if one is refused, and ``fail_silently`` is not set,
    some of those behind it may have been sent before its error is raised.

    :param args: what Django's backend takes
    :param alias: the name of the entry of ``MAILERS``; ``None`` where the settings are those of before
    :param pool_options: more options of :class:`aiosmtplib.SMTPPool`, such as ``{"max_connections": 4}``
    :param options: what Django's backend takes, from the ``OPTIONS`` of ``MAILERS``
    :cvar pool_options: the same for a class that is derived from this one; the parameter adds to it
    """

    connection: Any
    pool_options: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __init__(
        self,
        *args: Any,
        alias: str | None = None,
        pool_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        # Handed on even if it is None: Django warns of whoever calls without an alias, which is this line.
        super().__init__(*args, alias=alias, **options)
        self._more_options = pool_options or {}

    def _pool(self) -> SMTPPool:
        """The pool for the options of this backend."""
        options: dict[str, Any] = {
            "hostname": self.host,
            "port": self.port,
            "use_tls": bool(self.use_ssl),
            "start_tls": bool(self.use_tls),
            "local_hostname": DNS_NAME.get_fqdn(),
        }
        if self.username and self.password:
            options |= {"username": self.username, "password": conceal(self.password)}
        if self.timeout is not None:
            options["timeout"] = self.timeout
        if type(self).ssl_context is not smtp.EmailBackend.ssl_context:  # a program's own
            options["tls_context"] = self.ssl_context
        else:
            options |= {
                "client_cert": self.ssl_certfile or None,
                "client_key": self.ssl_keyfile or None,
            }
        options |= {**self.pool_options, **self._more_options}
        options |= {name: conceal(options.get(name)) for name in _SECRETS}
        plain = tuple((name, value) for name, value in options.items() if name not in _SECRETS)
        key = plain, tuple(_digest(options[name]) for name in _SECRETS)
        if key not in _pools:
            _pools.setdefault(key, SMTPPool(**options))
        return _pools[key]

    def open(self) -> bool | None:
        """Make sure that the server can be reached.

        :return: whether it had to be made sure of; ``None`` if it cannot be, with ``fail_silently``
        """
        if self.connection:
            return False
        try:
            pool = self._pool()
            pool.open()
        except errors.SMTPException as error:
            if self.fail_silently:
                return None
            raise _translated(error) from error
        self.connection = _Connection(pool, self.timeout)
        return True

    def close(self) -> None:
        """Hand the connections back to the pool."""
        if isinstance(self.connection, _Connection):
            self.connection = None
        else:
            super().close()

    def send_messages(self, email_messages: Iterable[Any]) -> int:
        """Send messages.

        :param email_messages: messages of ``django.core.mail``
        :return: how many were sent
        """
        if not email_messages:
            return 0
        with self._lock:
            opened = self.open()
            if opened is None or not self.connection:
                return 0
            connection = self.connection
            if not isinstance(connection, _Connection):  # a program has put its own there
                return int(super().send_messages(email_messages))
            try:
                return self._send_all(connection, email_messages)
            finally:
                if opened:
                    self.close()

    def _send_all(self, connection: _Connection, messages: Iterable[Any]) -> int:
        envelopes = self._envelopes(connection, messages)
        if isinstance(messages, Sequence) and len(messages) == 1:  # as send_mail has it
            return sum(self._send_one(connection, envelope) for envelope in envelopes)
        sent = 0
        results = connection.pool.send_many(envelopes)
        try:
            for result in results:
                sent += result.ok
                if isinstance(result.error, errors.SMTPException):
                    if not self.fail_silently:
                        raise _translated(result.error) from result.error
                else:
                    result.raise_for_status()
        finally:
            results.close()
        return sent

    def _send_one(self, connection: _Connection, envelope: Envelope) -> bool:
        message: Any = envelope.message
        try:
            connection.pool.send(message, envelope.sender, envelope.recipients)
        except errors.SMTPException as error:
            if not self.fail_silently:
                raise _translated(error) from error
            return False
        return True

    def _envelopes(self, connection: _Connection, messages: Iterable[Any]) -> Iterator[Envelope]:
        for message in messages:
            if self._send(message):
                yield connection.envelope()


def _translated(error: errors.SMTPException) -> Exception:
    """The error that a program written for Django's backend expects."""
    translated: Exception
    match error:
        case errors.SMTPRecipientsRefused():
            translated = smtplib.SMTPRecipientsRefused(
                {each.recipient: (each.code, each.message.encode()) for each in error.recipients}
            )
        case errors.SMTPSenderRefused():
            translated = smtplib.SMTPSenderRefused(error.code, error.message.encode(), error.sender)
        case errors.SMTPResponseException():
            kind = _KINDS.get(type(error), smtplib.SMTPResponseException)
            translated = kind(error.code, error.message.encode())
        case errors.SMTPConnectError() | errors.SMTPTimeoutError():
            return error  # an OSError, as it would be with smtplib
        case errors.SMTPServerDisconnected():
            translated = smtplib.SMTPServerDisconnected(str(error))
        case _:
            translated = smtplib.SMTPException(str(error))
    translated.delivery = error.delivery  # type: ignore[attr-defined]
    return translated


_KINDS: dict[type[errors.SMTPException], type[smtplib.SMTPResponseException]] = {
    errors.SMTPDataError: smtplib.SMTPDataError,
    errors.SMTPHeloError: smtplib.SMTPHeloError,
    errors.SMTPConnectResponseError: smtplib.SMTPConnectError,
    errors.SMTPAuthenticationError: smtplib.SMTPAuthenticationError,
}
