"""Messages as a server takes them: their envelope, their content, and the parameters that go with both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._envelope.arguments import ascii_address
from .._message.fields import address_fields, recipients_in, sender_in
from ..errors import SMTPNotSupported

if TYPE_CHECKING:
    import email.message


def envelope_of(
    message: "email.message.EmailMessage | email.message.Message",
    sender: str | None,
    recipients: str | Sequence[str] | None,
) -> tuple[str, list[str]]:
    """Sender and recipients as given, or else as the message has them.

    :raises ValueError: if there is no sender or no recipient
    :raises TypeError: if ``message`` is no message object
    """
    if sender is None or recipients is None:
        fields = address_fields(message)
        if sender is None:
            sender = sender_in(message, fields)
            if sender is None:
                raise ValueError("No From header provided in message")
        if recipients is None:
            recipients = recipients_in(message, fields)
            if not recipients:
                raise ValueError("No recipient headers provided in message")
    return sender, [recipients] if isinstance(recipients, str) else list(recipients)


def content_of(message: Any) -> bytes:
    if isinstance(message, bytes | bytearray | memoryview):
        return message  # type: ignore[return-value]  # the codec takes all three
    if isinstance(message, str):
        return message.encode("ascii")
    raise TypeError(
        f"sendmail takes a message as str or bytes, not {type(message).__name__}; "
        "send_message takes the objects of the email package"
    )


def _check_a_labels_suffice(*addresses: str) -> None:
    try:
        for address in addresses:
            ascii_address(address)
    except ValueError as error:
        raise SMTPNotSupported(
            "An address containing non-ASCII characters was provided, "
            "but SMTPUTF8 is not supported by this server"
        ) from error
