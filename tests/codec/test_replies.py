"""Reading replies: the same replies, however what the server sent is cut; and bounds on what is held."""

import gc
import importlib
import inspect
import tracemalloc
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib.response import SMTPResponse

from ..support import vectors
from ..support.vectors import BROKEN, MAX_LINE, MAX_REPLY, REPLIES, TOO_LONG, malformed


def feed(parser: Any, chunks: list[bytes], max_line: int = MAX_LINE, max_reply: int = MAX_REPLY) -> list[Any]:
    return [reply for chunk in chunks for reply in parser.feed(chunk, max_line, max_reply)]


@pytest.mark.parametrize(("sent", "expected"), REPLIES)
def test_replies_however_they_are_cut(
    codec: ModuleType, sent: bytes, expected: list[tuple[int, str]]
) -> None:
    for chunks in vectors.cuts(sent):
        parser = codec.ReplyParser()
        assert feed(parser, chunks) == expected
        assert parser.pending is False


@pytest.mark.parametrize(("sent", "expected"), REPLIES)
def test_tail_is_kept_for_later(codec: ModuleType, sent: bytes, expected: list[tuple[int, str]]) -> None:
    for tail, rest in (
        (b"2", b"50 x\n"),
        (b"250 x\r", b"\n"),
        (b"250-y\r\n", b"250 x\n"),
        (b"250-y\n250", b" x\n"),
    ):
        parser = codec.ReplyParser()
        assert feed(parser, [sent + tail]) == expected
        assert parser.pending is True
        (reply,) = feed(parser, [rest])
        assert reply.message.removeprefix("y\n") == "x"
        assert parser.pending is False


@pytest.mark.parametrize(("sent", "expected"), BROKEN)
def test_broken_reply_ends_the_conversation(codec: ModuleType, sent: bytes, expected: SMTPResponse) -> None:
    good = b"220 hello\r\n"
    for chunks in vectors.cuts(good + sent + b"250 ignored\r\n"):
        parser = codec.ReplyParser()
        assert feed(parser, chunks) == [(220, "hello"), expected]
        assert parser.pending is False
        assert feed(parser, [b"250 ignored\r\n", b"250-"]) == []
        assert parser.pending is False


def test_replies_are_of_the_public_type(codec: ModuleType) -> None:
    (reply,) = feed(codec.ReplyParser(), [b"250 2.1.0 Ok\r\n"])
    assert type(reply) is SMTPResponse
    assert (reply.code, reply.message) == (250, "2.1.0 Ok")
    assert (type(reply.code), type(reply.message)) == (int, str)
    assert str(reply) == "250 2.1.0 Ok"
    assert reply == (250, "2.1.0 Ok") and hash(reply) == hash((250, "2.1.0 Ok"))
    (bad,) = feed(codec.ReplyParser(), [b"nonsense\r\n"])
    assert type(bad) is SMTPResponse
    assert gc.is_tracked(reply)


def test_new_parser_holds_nothing(codec: ModuleType) -> None:
    parser = codec.ReplyParser()
    assert parser.pending is False
    assert parser.feed(b"", 10, 10) == []
    assert parser.pending is False
    with pytest.raises(AttributeError):
        parser.pending = True


def test_limits_hold_for_the_line_and_for_the_reply(codec: ModuleType) -> None:
    line = b"250 12345\r\n"
    many = b"250-12345\r\n" * 3 + line
    for chunks in vectors.cuts(line):
        assert feed(codec.ReplyParser(), chunks, len(line), len(line)) == [(250, "12345")]
        assert feed(codec.ReplyParser(), chunks, len(line) - 1, len(line)) == [TOO_LONG]
        assert feed(codec.ReplyParser(), chunks, len(line), len(line) - 1) == [TOO_LONG]
    for chunks in vectors.cuts(many):
        assert feed(codec.ReplyParser(), chunks, len(line), len(many)) == [(250, "\n".join(["12345"] * 4))]
        assert feed(codec.ReplyParser(), chunks, len(line), len(many) - 1) == [TOO_LONG]
    # The size of a reply is its own, not that of all replies.
    assert feed(codec.ReplyParser(), [line * 50], len(line), len(line)) == [(250, "12345")] * 50


def test_limit_holds_before_the_line_end_has_come(codec: ModuleType) -> None:
    parser = codec.ReplyParser()
    assert feed(parser, [b"2" * 10], 10, 100) == []
    assert feed(parser, [b"2"], 10, 100) == [TOO_LONG]
    parser = codec.ReplyParser()
    assert feed(parser, [b"250-ab\r\n", b"250"], 10, 11) == []
    assert feed(parser, [b"-"], 10, 11) == [TOO_LONG]


def test_limits_are_read_at_every_call(codec: ModuleType) -> None:
    parser = codec.ReplyParser()
    assert parser.feed(b"250-12345\r\n250 123", 100, 100) == []
    assert parser.feed(b"45\r\n", 5, 100) == [TOO_LONG]


def test_flood_is_not_held(codec: ModuleType) -> None:
    parser = codec.ReplyParser()
    chunk = b"x" * 65536
    tracemalloc.start()
    try:
        feed(parser, [b"250-" + b"y" * 4000 + b"\r\n"] * 7)
        assert feed(parser, [chunk] * 64) == [TOO_LONG]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 16384


def test_reading_goes_on_where_the_last_chunk_ended(codec: ModuleType) -> None:
    # 30 KiB in chunks of one byte: quadratic work would show as copies of what is held.
    line = b"250-" + b"x" * 30_000
    parser = codec.ReplyParser()
    for i in range(len(line)):
        assert parser.feed(line[i : i + 1], MAX_REPLY, MAX_REPLY) == []
    assert parser.pending
    assert parser.feed(b"\r\n250 y\r\n", MAX_REPLY, MAX_REPLY) == [(250, "x" * 30_000 + "\ny")]


@pytest.mark.parametrize("wrap", [bytearray, memoryview])
def test_other_kinds_of_bytes(codec: ModuleType, wrap: type) -> None:
    parser = codec.ReplyParser()
    data = bytearray(b"250 Ok\r\n250-half")
    assert parser.feed(wrap(data), 100, 100) == [(250, "Ok")]
    data[:] = b"#" * len(data)
    assert parser.feed(b"\r\n250 whole\r\n", 100, 100) == [(250, "half\nwhole")]


@pytest.mark.parametrize("data", ["250 Ok\r\n", None, 250, [50], object()])
def test_text_is_refused(codec: ModuleType, data: Any) -> None:
    with pytest.raises(TypeError, match=f"^expected bytes, got {type(data).__name__}$"):
        codec.ReplyParser().feed(data, 100, 100)


@pytest.mark.parametrize("limits", [("8192", 100), (100, None), (1.5, 100)])
def test_limits_are_integers(codec: ModuleType, limits: tuple[Any, Any]) -> None:
    (odd,) = (limit for limit in limits if not isinstance(limit, int))
    expected = f"^'{type(odd).__name__}' object cannot be interpreted as an integer$"
    with pytest.raises(TypeError, match=expected):
        codec.ReplyParser().feed(b"", *limits)


def test_echo_shows_no_control_character(codec: ModuleType) -> None:
    for byte in range(256):
        if byte == 10:
            continue
        (reply,) = feed(codec.ReplyParser(), [b"x" + bytes([byte]) + b"y\r\n"])
        shown = chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
        assert reply == malformed(f"x{shown}y")


def test_only_three_digits_are_a_code(codec: ModuleType) -> None:
    for byte in range(256):
        for place in range(3):
            code = bytearray(b"250")
            code[place] = byte
            replies = feed(codec.ReplyParser(), [bytes(code) + b" Ok\r\n"])
            assert (replies[0].code == -1) == (not 48 <= byte <= 57)


def test_no_digit_and_no_control_follows_a_code(codec: ModuleType) -> None:
    for byte in set(range(256)) - {10}:
        replies = feed(codec.ReplyParser(), [b"250" + bytes([byte]) + b"Ok\r\n"])
        if byte == ord("-"):
            assert replies == []
        elif byte == 0x09 or (byte >= 0x20 and byte != 0x7F and not chr(byte).isdecimal()):
            assert replies == [(250, "Ok")]
        else:
            assert replies[0].code == -1


@given(text=st.binary(max_size=60))
def test_text_can_be_printed_whatever_the_server_sent(codec: ModuleType, text: bytes) -> None:
    sent = text.replace(b"\n", b"\r")
    (reply,) = feed(codec.ReplyParser(), [b"250 " + sent + b"\r\n"])
    assert reply.message.encode("utf-8").decode("utf-8") == reply.message
    if reply.message.isprintable():
        assert reply.message == sent.strip().decode("utf-8", "backslashreplace")


@given(st.data())
def test_twins_and_oracle_agree(codec: ModuleType, data: st.DataObject) -> None:
    pure = importlib.import_module("aiosmtplib._codec.pure")
    chunks = data.draw(vectors.chunked(vectors.streams))
    max_line, max_reply = data.draw(st.sampled_from([(MAX_LINE, MAX_REPLY), (12, 30), (40, 41), (1, 1)]))
    parser, twin = codec.ReplyParser(), pure.ReplyParser()
    replies = []
    for chunk in chunks:
        step = parser.feed(chunk, max_line, max_reply)
        assert step == twin.feed(chunk, max_line, max_reply)
        assert parser.pending == twin.pending
        replies += step
    assert replies == vectors.read_replies(b"".join(chunks), max_line, max_reply)


def test_signatures_are_those_of_the_pure_twin(codec: ModuleType) -> None:
    pure = importlib.import_module("aiosmtplib._codec.pure")
    twins_of = {name: getattr(pure, name) for name in pure.__all__}
    assert set(codec.__all__) == {*twins_of}

    def names(function: Any) -> list[tuple[str, Any]]:
        return [(name, parameter.kind) for name, parameter in inspect.signature(function).parameters.items()]

    for name in codec.__all__:
        mine, twins = getattr(codec, name), twins_of[name]
        if not inspect.isclass(twins):
            assert names(mine) == names(twins)
            continue
        for method in (method for method in vars(twins) if not method.startswith("_")):
            if callable(getattr(twins, method)):
                assert names(getattr(mine, method)) == names(getattr(twins, method))
            else:
                assert hasattr(mine, method)
