"""The types of the compiled codec. Its signatures are those of ``_codec/pure/``; tests hold that."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, final

from typing_extensions import disjoint_base

from ._codec.types import Data, Dialogue, SessionObserver
from ._trace.transcript import Entry, Transcript
from .errors import SMTPException
from .response import SMTPResponse

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

_M = TypeVar("_M")
_S = TypeVar("_S")
_T = TypeVar("_T")

@final
class ReplyParser:
    @property
    def pending(self) -> bool: ...
    def feed(
        self, data: bytes | bytearray | memoryview, max_line: int, max_reply: int
    ) -> list[SMTPResponse]: ...

@final
class DataEncoder:
    def __init__(self, dots: bool = True) -> None: ...
    def encode(self, chunk: bytes | bytearray | memoryview) -> bytes: ...
    def finish(self) -> bytes: ...

@disjoint_base
class Exchange:
    dialogue: Dialogue[Any]
    result: Any
    error: BaseException | None
    replies: list[SMTPResponse]
    timeout: float | None
    pipeline: object
    limit: Any
    reserves: bool
    follows: int
    expected: int
    start: int
    end: int
    def __init__(
        self, dialogue: Dialogue[Any], timeout: float | None = None, pipeline: object = None
    ) -> None: ...
    def on_done(self) -> None: ...

@final
class Session:
    head: Exchange | None
    last: Exchange | None
    lost: str | None
    closing: bool
    out: list[bytes]
    done: list[Exchange]
    observer: SessionObserver | None
    running: deque[Exchange]
    scheduled: int
    greeted: bool
    greeting: SMTPResponse | None
    unseen: SMTPException | None
    after_secret: bool
    def __init__(self, greeted: bool = False) -> None: ...
    def renewed(self) -> Session: ...
    @property
    def interrupted(self) -> bool: ...
    def __contains__(self, key: Exchange, /) -> bool: ...
    def start(self, exchange: Exchange) -> None: ...
    def push(self, exchange: Exchange, data: Data, replies: int = 0, *, last: bool = False) -> None: ...
    def receive(self, data: bytes, max_line: int, max_reply: int, written: int) -> bool: ...
    def step(self, exchange: Exchange, replies: list[SMTPResponse] | None, written: int) -> None: ...
    def keep(self, exchange: Exchange, replies: list[SMTPResponse]) -> None: ...
    def add_entry(self, entry: Entry) -> None: ...
    def fail(self, error: SMTPException, written: int) -> None: ...
    def write(self, data: bytes) -> None: ...
    def attach_transcript(self, error: SMTPException) -> None: ...
    def transcript(self) -> Transcript: ...

@disjoint_base
class ServerState:
    mail: PreparedMail | None
    failed: bool

@final
class PreparedMail:
    sender: str
    recipients: Sequence[str]
    commands: bytes
    content: Data | None
    pipelined: bool
    chunked: bool
    per_recipient: bool
    aborted: bool
    left_over: Sequence[int]
    def __init__(
        self,
        sender: str,
        recipients: Sequence[str],
        commands: bytes,
        content: Data | None,
        pipelined: bool = False,
        chunked: bool = False,
        per_recipient: bool = False,
    ) -> None: ...
    def rest(self) -> PreparedMail: ...

@disjoint_base
class EncodedEnvelope:
    sender: str
    recipients: Sequence[str]
    mail: bytes
    parameters: bytes
    rcpts: bytes
    utf8: bool
    binary: bool
    open: bool
    def __init__(self) -> None: ...
    def prepare(
        self, content: Data | None, size: int, pipelined: bool, chunked: bool, per_recipient: bool
    ) -> PreparedMail: ...

@disjoint_base
class ExchangeQueue:
    transport: Any
    lost: bool
    pending: deque[memoryview]
    @property
    def is_connected(self) -> bool: ...
    def submit(self, exchange: Exchange) -> None: ...
    def go_on(self) -> None: ...
    def get_buffer(self, sizehint: int) -> memoryview: ...
    def buffer_updated(self, nbytes: int) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def receive(self, data: bytes, max_line: int, max_reply: int) -> None: ...
    def notify_done(self) -> None: ...
    def flush(self) -> None: ...
    def expect_reply(self, exchange: Exchange) -> None: ...

def start_transaction(mail: _M, server: _S, general: Callable[[_M, _S], Dialogue[_T]]) -> Dialogue[_T]: ...
def encode_command(*args: bytes) -> bytes: ...
def normalize_newlines(message: bytes | bytearray | memoryview) -> bytes: ...
def encode_data(message: bytes | bytearray | memoryview) -> bytes: ...
def encode_message(message: bytes | bytearray | memoryview) -> tuple[Data, int]: ...
def pick_fields(headers: Iterable[tuple[str, object]], names: tuple[str, ...]) -> list[Sequence[object]]: ...
def plain_address(value: str) -> str | None: ...
def plain_addresses(value: str) -> list[str] | None: ...
def encode_recipients(recipients: Iterable[str], tail: bytes) -> bytes | None: ...
def plain_envelope(sender: object, recipients: object) -> EncodedEnvelope | None: ...
def serialize_field(name: str, value: Any, rules: Any) -> bytes | None: ...
def serialize_message(message: Any, rules: Any, form: int = 0) -> tuple[bytes, int] | None: ...
