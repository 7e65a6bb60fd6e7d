"""Message content on the wire: exactly one end of message, no bare CR or LF, and nothing lost."""

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._codec.types import NOT_COPIED

from ..support import vectors
from ..support.vectors import MESSAGES


def encode(encoder: Any, chunks: list[bytes]) -> bytes:
    return b"".join([*(encoder.encode(chunk) for chunk in chunks), encoder.finish()])


def near_block_edges() -> list[bytes]:
    """Every sequence that matters at every place around the edges of blocks of 8, 16 and 32 bytes."""
    sequences = [
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\r",
        b".",
        b"\r.",
        b"\n.",
        b"\r\n.",
        b"\r\n.\r\n",
        b"\r\r",
        b"\n\n",
    ]
    return [
        b"x" * before + sequence + b"y" * after
        for sequence in sequences
        for before in (*range(20), *range(28, 36))
        for after in (0, 1, 5, 14, 15, 16, 17, 33)
    ]


@pytest.mark.parametrize(("message", "data", "bdat"), MESSAGES)
def test_whole_messages(codec: ModuleType, message: bytes, data: bytes, bdat: bytes) -> None:
    assert codec.encode_data(message) == data
    assert codec.normalize_newlines(message) == bdat
    stuffed = data.count(b"\r\n..") + data.startswith(b"..")
    assert codec.encode_message(message)[1] == len(data) - len(b".\r\n") - stuffed


@pytest.mark.parametrize(("message", "data", "bdat"), MESSAGES)
def test_messages_in_pieces(codec: ModuleType, message: bytes, data: bytes, bdat: bytes) -> None:
    for chunks in vectors.cuts(message):
        assert encode(codec.DataEncoder(), chunks) == data
        assert encode(codec.DataEncoder(dots=False), chunks) == bdat


def test_edges_of_blocks(codec: ModuleType) -> None:
    for message in near_block_edges():
        canonical = vectors.canonical(message)
        assert codec.normalize_newlines(message) == canonical
        wire = codec.encode_data(message)
        final = b"" if canonical.endswith(b"\r\n") else b"\r\n"
        assert vectors.receive(wire) == canonical + final
        assert codec.encode_message(message)[1] == len(canonical + final)
        middle = len(message) // 2
        assert encode(codec.DataEncoder(), [message[:middle], message[middle:]]) == wire


@pytest.mark.parametrize(
    "unit", [b"\r", b"\n", b".", b"\r\n", b"\n.", b".\r\n", b"x\n", b"\r.", b"\r.\n", b"\r\n.\r.\n"]
)
def test_long_runs(codec: ModuleType, unit: bytes) -> None:
    # Beyond 127 blocks of 16, where counters of one byte are emptied, and beyond 255.
    for times in (127 * 16 // len(unit), 5000):
        message = unit * times
        assert codec.normalize_newlines(message) == vectors.canonical(message)
        assert vectors.receive(codec.encode_data(message)).rstrip(b"\r\n") == vectors.canonical(
            message
        ).rstrip(b"\r\n")
        assert codec.encode_message(message)[1] == len(vectors.receive(codec.encode_data(message)))


def test_nothing_to_do_returns_the_message_itself(codec: ModuleType) -> None:
    for message in (b"", b"x" * 50, b"a\r\n.b\r\n" * 20, b"\r\n", b".\r\n" * 50 + b"x"):
        assert codec.normalize_newlines(message) is message
        assert codec.DataEncoder(dots=False).encode(message) is message
    plain = b"no dot starts a line.\r\n" * 20
    assert codec.DataEncoder().encode(plain) is plain


def test_encoding_makes_no_second_copy(compiled: ModuleType) -> None:
    # The result has exactly its own size: it was measured, not grown and cut.
    for message in (b"line\r\n" * 2000, b".line\n" * 2000):
        wire = compiled.encode_data(message)
        assert sys.getsizeof(wire) == sys.getsizeof(b"") + len(wire)


@pytest.mark.parametrize("wrap", [bytearray, memoryview])
def test_other_kinds_of_bytes(codec: ModuleType, wrap: type) -> None:
    message = b".a\nb"
    assert codec.encode_data(wrap(message)) == b"..a\r\nb\r\n.\r\n"
    assert codec.normalize_newlines(wrap(message)) == b".a\r\nb"
    assert codec.encode_message(wrap(message))[1] == 7
    encoder = codec.DataEncoder()
    assert encoder.encode(wrap(message)) == b"..a\r\nb"
    for result in (codec.normalize_newlines(wrap(b"ab")), codec.DataEncoder(False).encode(wrap(b"ab"))):
        assert type(result) is bytes
        assert result == b"ab"


def test_strided_views(codec: ModuleType) -> None:
    assert codec.encode_data(memoryview(b"a_\n_b_")[::2]) == b"a\r\nb\r\n.\r\n"


@pytest.mark.parametrize("message", ["text", None, 5, [1], object()])
def test_text_is_refused(codec: ModuleType, message: Any) -> None:
    for function in (
        codec.encode_data,
        codec.normalize_newlines,
        codec.encode_message,
        codec.DataEncoder().encode,
    ):
        with pytest.raises(TypeError, match=f"^expected bytes, got {type(message).__name__}$"):
            function(message)


@pytest.mark.parametrize("dots", [True, False])
def test_finished_is_finished(codec: ModuleType, dots: bool) -> None:
    encoder = codec.DataEncoder(dots)
    encoder.encode(b"a")
    encoder.finish()
    for use in (lambda: encoder.encode(b"a"), lambda: encoder.encode("a"), encoder.finish):
        with pytest.raises(ValueError, match="^the message is finished$"):
            use()


def test_refused_piece_leaves_the_encoder_as_it_was(codec: ModuleType) -> None:
    encoder = codec.DataEncoder()
    assert encoder.encode(b"a\r") == b"a\r\n"
    with pytest.raises(TypeError):
        encoder.encode("text")
    assert encoder.encode(b"") == b""
    assert encoder.encode(b"\n.") == b".."
    assert encoder.finish() == b"\r\n.\r\n"


def test_no_byte_is_held_back(codec: ModuleType) -> None:
    encoder = codec.DataEncoder()
    steps = [
        (b"a\r", b"a\r\n"),
        (b"\n", b""),
        (b"\n", b"\r\n"),
        (b".", b".."),
        (b".", b"."),
        (b"\r", b"\r\n"),
    ]
    for chunk, expected in steps:
        assert encoder.encode(chunk) == expected
    assert encoder.finish() == b".\r\n"


@given(st.data())
def test_server_reads_what_was_meant(codec: ModuleType, data: st.DataObject) -> None:
    message = data.draw(vectors.messages)
    canonical = vectors.canonical(message)
    whole = canonical if canonical.endswith(b"\r\n") else canonical + b"\r\n"
    assert codec.normalize_newlines(message) == canonical
    assert vectors.receive(codec.encode_data(message)) == whole
    assert codec.encode_message(message)[1] == len(whole)


@given(st.data())
def test_chunking_changes_nothing(codec: ModuleType, data: st.DataObject) -> None:
    pure = importlib.import_module("aiosmtplib._codec.pure")
    chunks = data.draw(vectors.chunked(vectors.messages))
    message = b"".join(chunks)
    assert codec.encode_data(message) == pure.encode_data(message)
    for dots, expected in ((True, pure.encode_data(message)), (False, pure.normalize_newlines(message))):
        encoder, twin = codec.DataEncoder(dots), pure.DataEncoder(dots)
        out = []
        for chunk in chunks:
            out.append(encoder.encode(chunk))
            assert out[-1] == twin.encode(chunk)
        assert b"".join(out) + encoder.finish() == expected


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\n", b"\r"])
@pytest.mark.parametrize("start", [b"", b".", b"\n"])
@pytest.mark.parametrize("size", [0, 10, NOT_COPIED - 100, NOT_COPIED, NOT_COPIED + 100])
def test_large_content_that_is_ready_is_not_copied(
    codec: ModuleType, size: int, start: bytes, end: bytes
) -> None:
    message = start + (b"Subject: x\r\n" * (size // 12 + 12))[:size].rstrip(b"\r\n") + end
    wire, octets = codec.encode_message(message)
    whole = wire if isinstance(wire, bytes) else b"".join(wire)
    assert whole == codec.encode_data(message)
    assert octets == len(vectors.receive(whole))
    as_it_is = len(message) >= NOT_COPIED and not start and end in (b"", b"\r\n")
    # What has to be changed is a copy anyway; whether its end is with it is the twin's own affair.
    assert not as_it_is or (isinstance(wire, tuple) and wire[0] is message)
    assert isinstance(wire, bytes) or len(whole) >= NOT_COPIED
