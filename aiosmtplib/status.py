"""SMTP reply codes (RFC 5321 section 4.2.3 and its extensions), and delivery verdicts, as enumerations."""

import enum

__all__ = ("Delivery", "SMTPStatus")


@enum.unique
class SMTPStatus(enum.IntEnum):
    """SMTP reply codes by name. Members equal the ``int`` code of an ``SMTPResponse``."""

    #: Not an SMTP reply: the text received is malformed or too long.
    invalid_response = -1
    system_status_ok = 211
    help_message = 214
    ready = 220
    closing = 221
    auth_successful = 235
    completed = 250
    will_forward = 251
    cannot_vrfy = 252
    auth_continue = 334
    start_input = 354
    domain_unavailable = 421
    mailbox_unavailable = 450
    error_processing = 451
    insufficient_storage = 452
    tls_not_available = 454
    unrecognized_command = 500
    unrecognized_parameters = 501
    command_not_implemented = 502
    bad_command_sequence = 503
    parameter_not_implemented = 504
    domain_does_not_accept_mail = 521
    access_denied = 530
    auth_failed = 535
    mailbox_does_not_exist = 550
    user_not_local = 551
    storage_exceeded = 552
    mailbox_name_invalid = 553
    transaction_failed = 554
    syntax_error = 555


@enum.unique
class Delivery(enum.Enum):
    """The delivery verdict: what became of a message, as far as the client can know (RFC 5321).

    ``NOT_SENT``
        The server never had the whole message. Sending it again cannot duplicate it.
    ``REJECTED``
        The server gave a final negative reply.
    ``UNKNOWN``
        The end of the message was written and no reply came. Sending it again may duplicate it.
    ``DELIVERED``
        The server accepted the message for at least one recipient.
    """

    NOT_SENT = "not sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
