"""Messages that go through ``before_send``: the octets that it is called with, and those that are sent."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .._codec import EncodedEnvelope
from .._envelope.commands import envelope_commands
from .._envelope.parameter import option_list
from .._envelope.recipient import recipient_list
from .._transport.exchange import cancelled_before_sent
from .._transport.limit import Limit, within
from .._transport.wakeup import background
from ..email import flatten_message
from .before_send import ContentHook, finished_by, is_streamed
from .completion import added_to_object, added_to_octets
from .compose import Composer, with_line_ends
from .content import Content, MessageKind, kind_of, octets_of

if TYPE_CHECKING:
    import email.message

__all__ = ("HookCalls", "HookedMessage")


class HookedMessage:
    """A message that goes through ``before_send``, in the form in which a server takes it.

    The hook is called once, and again only for a server that takes the message in another form: what it
    returned, such as a signature, would not hold there. Header and body as octets have one form.

    :param hook: ``before_send``
    :param message: a message object, or header and body
    :param sender: the reverse-path
    :param recipients: all forward-paths, also where they are divided
    :param mail_options: parameters of MAIL
    :param rcpt_options: parameters of every RCPT
    :param complete: whether to add the header fields that it lacks
    :raises TypeError: if it is streamed, or an argument is of the wrong type
    :raises ValueError: if an address or option is none, or there is no recipient
    :ivar content: what the hook returned, or ``None`` until then
    """

    __slots__ = (
        "_added",
        "_draft",
        "_form",
        "_hook",
        "_mail_options",
        "_message",
        "_options",
        "_rcpt_options",
        "_recipients",
        "_sender",
        "content",
    )

    def __init__(
        self,
        hook: ContentHook,
        message: email.message.EmailMessage | email.message.Message | Content,
        sender: str,
        recipients: str | Iterable[str],
        mail_options: Iterable[str] | None,
        rcpt_options: Iterable[str] | None,
        *,
        complete: bool,
    ) -> None:
        self._hook = hook
        self._message: Any = message
        missing: Callable[[Any, str], bytes] = added_to_object
        if kind_of(message) is not MessageKind.OBJECT:
            self._message = octets_of(message)
            if self._message is None:
                raise is_streamed()
            missing = added_to_octets
        self._added = missing(self._message, sender) if complete else b""
        self._sender = sender
        self._recipients = recipient_list(recipients)
        self._mail_options: Sequence[str] = option_list(mail_options)
        self._options: Sequence[str] = self._mail_options
        self._rcpt_options = option_list(rcpt_options, "RCPT")
        #: Whether it is written with UTF-8 header fields, and in 7 or 8 bits.
        self._form: tuple[bool, str] | None = None
        self._draft = b""
        self.content: bytes | None = None
        if isinstance(self._message, bytes):
            self.envelope()  # raises what there is to raise

    def fits(self, composer: Composer) -> bool:
        """Whether the content is there, in the form in which this server takes it."""
        return self.content is not None and self._form_for(composer)[0] == self._form

    def write(self, composer: Composer) -> int:
        """Write what the hook is to be called with, for this server.

        :return: its octets
        :raises SMTPNotSupported: if an address needs SMTPUTF8, and the server does not announce it
        """
        self.content = None
        self._form, self._options = self._form_for(composer)
        draft = self._message if self._form is None else flatten_message(self._message, *self._form)
        self._draft = self._added + draft
        if not self.envelope().binary:
            self._draft = with_line_ends(self._draft)
        return len(self._draft)

    async def finish(self) -> None:
        """Call the hook with what was written."""
        draft, self._draft = self._draft, b""
        self.content = await finished_by(self._hook, draft)

    def envelope(self, recipients: str | Sequence[str] | None = None) -> EncodedEnvelope:
        """The envelope that goes with the content.

        :param recipients: those of one transaction; by default all
        """
        everyone = self._recipients if recipients is None else recipients
        return envelope_commands(self._sender, everyone, self._options, self._rcpt_options)

    def _form_for(self, composer: Composer) -> tuple[tuple[bool, str] | None, Sequence[str]]:
        """The form in which a server takes it, and the parameters of MAIL that go with it."""
        if isinstance(self._message, bytes):
            return None, self._mail_options
        utf8, cte_type, options = composer.form(self._sender, self._recipients, self._mail_options)
        return (utf8, cte_type), options


class HookCalls:
    """The calls of ``before_send`` for the messages of a ``send_many``, each in a task of its own."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def __contains__(self, task: object) -> bool:
        return task in self._tasks

    def begin(
        self, message: HookedMessage, limit: Limit | None, over: Callable[[BaseException | None], None]
    ) -> None:
        """Call the hook for a message that has been written.

        :param limit: how long that may take, or ``None``
        :param over: called with the error, or with ``None`` if the content is there
        """
        if limit is not None:
            limit.begin()
        task = background(_finish(message, limit))
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._over, over))

    def _over(self, over: Callable[[BaseException | None], None], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = cancelled_before_sent() if task.cancelled() else task.exception()
        over(error or (cancelled_before_sent() if self._stopped else None))

    def stop(self) -> None:
        """End them: their messages are not sent."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()


async def _finish(message: HookedMessage, limit: Limit | None) -> None:
    await within(limit, message.finish())
