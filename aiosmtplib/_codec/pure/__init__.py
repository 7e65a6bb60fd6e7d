"""The codec in plain Python: the twin that runs where the compiled one cannot.

It has the names, signatures, results and exceptions of ``aiosmtplib._speedups``. Only
``aiosmtplib._codec`` imports it. What is done once per message goes through the byte methods of
:class:`bytes`, which run in C, rather than through regular expressions.
"""

from .commands import encode_command, encode_recipients, pick_fields, plain_address, plain_addresses
from .content import DataEncoder, encode_data, encode_message, normalize_newlines
from .exchanges import ExchangeQueue
from .fields import serialize_field
from .mail import EncodedEnvelope, PreparedMail, ServerState, plain_envelope
from .replies import ReplyParser
from .serializer import serialize_message
from .session import Exchange, Session
from .transaction import start_transaction

__all__ = (
    "DataEncoder",
    "EncodedEnvelope",
    "Exchange",
    "ExchangeQueue",
    "PreparedMail",
    "ReplyParser",
    "ServerState",
    "Session",
    "encode_command",
    "encode_data",
    "encode_message",
    "encode_recipients",
    "normalize_newlines",
    "pick_fields",
    "plain_address",
    "plain_addresses",
    "plain_envelope",
    "serialize_field",
    "serialize_message",
    "start_transaction",
)
