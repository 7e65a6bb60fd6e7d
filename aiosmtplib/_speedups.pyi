"""The types of the compiled codec. Its signatures are those of ``aiosmtplib._pure``; tests hold that."""

from collections.abc import Iterable
from typing import final

from .response import SMTPResponse

__all__ = (
    "DataEncoder",
    "ReplyParser",
    "content_size",
    "encode_command",
    "encode_data",
    "encode_recipients",
    "normalize_newlines",
    "plain_address",
)

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

def encode_command(*args: bytes) -> bytes: ...
def normalize_newlines(message: bytes | bytearray | memoryview) -> bytes: ...
def encode_data(message: bytes | bytearray | memoryview) -> bytes: ...
def content_size(message: bytes | bytearray | memoryview) -> int: ...
def plain_address(value: str) -> str | None: ...
def encode_recipients(recipients: Iterable[str], tail: bytes) -> bytes | None: ...
