"""Command lines that cannot be broken out of, and the addresses that need no parser."""

from email.utils import parseaddr
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ..support.vectors import ADDRESSES

CONTROLS = [*range(32), 127]


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ((b"QUIT",), b"QUIT\r\n"),
        ((b"MAIL", b"FROM:<a@b>", b"SIZE=5"), b"MAIL FROM:<a@b> SIZE=5\r\n"),
        ((b"AUTH", b"XOAUTH2 token"), b"AUTH XOAUTH2 token\r\n"),
        ((b"",), b"\r\n"),
        ((b"VRFY", b""), b"VRFY \r\n"),
        ((b"RCPT", "TO:<\xe9@b>".encode()), b"RCPT TO:<\xc3\xa9@b>\r\n"),
        ((b"NOOP", bytes(range(128, 256))), b"NOOP " + bytes(range(128, 256)) + b"\r\n"),
        ((b"AUTH", b"PLAIN", b"x" * 5000), b"AUTH PLAIN " + b"x" * 5000 + b"\r\n"),
    ],
)
def test_command_line(codec: ModuleType, args: tuple[bytes, ...], line: bytes) -> None:
    assert codec.encode_command(*args) == line


@pytest.mark.parametrize("byte", CONTROLS)
def test_control_characters_are_refused_anywhere(codec: ModuleType, byte: int) -> None:
    odd = bytes([byte])
    for args in (
        (b"NOOP" + odd,),
        (odd, b"a"),
        (b"AUTH", odd + b"hunter2"),
        (b"a" * 40 + odd + b"a" * 40, b"b"),
    ):
        with pytest.raises(ValueError, match="^control characters are prohibited in an SMTP command$"):
            codec.encode_command(*args)


def test_all_other_bytes_are_allowed(codec: ModuleType) -> None:
    others = bytes(set(range(256)) - set(CONTROLS))
    assert codec.encode_command(others) == others + b"\r\n"


def test_command_needs_a_verb(codec: ModuleType) -> None:
    with pytest.raises(ValueError, match="^an SMTP command needs a verb$"):
        codec.encode_command()


@pytest.mark.parametrize("odd", ["secret", None, 5, bytearray(b"a"), memoryview(b"a"), [b"a"]])
def test_arguments_are_bytes(codec: ModuleType, odd: Any) -> None:
    # The type comes first: a control character elsewhere does not hide it.
    for args in ((odd,), (b"MAIL", odd), (b"a\n", odd)):
        with pytest.raises(TypeError, match=f"^expected bytes, got {type(odd).__name__}$"):
            codec.encode_command(*args)


@given(
    args=st.lists(
        st.one_of(st.binary(max_size=20), st.sampled_from([b"MAIL", b"a b", b"\x7f", b"\x80"])), min_size=1
    )
)
def test_command_is_one_line_or_an_error(codec: ModuleType, args: list[bytes]) -> None:
    if any(byte in CONTROLS for arg in args for byte in arg):
        with pytest.raises(ValueError):
            codec.encode_command(*args)
    else:
        assert codec.encode_command(*args) == b" ".join(args) + b"\r\n"


@pytest.mark.parametrize(("value", "address"), ADDRESSES)
def test_plain_addresses(codec: ModuleType, value: str, address: str | None) -> None:
    assert codec.plain_address(value) == address
    if address is not None:
        assert parseaddr(value)[1] == address


def test_every_character_at_every_place(codec: ModuleType) -> None:
    for number in range(256):
        c = chr(number)
        for value in (
            f"{c}a@b",
            f"a{c}@b",
            f"a@{c}b",
            f"a@b{c}",
            f"a@b{c}c",
            f"N{c} <a@b>",
            f"{c}N <a@b>",
            f"N <a@b{c}>",
            f'"N{c}" <a@b>',
            f'"N"{c}<a@b>',
            f"a@b (N{c})",
            f"a@b{c}(N)",
        ):
            address = codec.plain_address(value)
            assert address is None or address == parseaddr(value)[1]
        letter_or_digit = c.isascii() and c.isalnum()
        assert (codec.plain_address(f"a@{c}") is not None) == letter_or_digit
        assert (codec.plain_address(f"{c}@b") is not None) == (letter_or_digit or c in "!#$%&'*+-/=?^_`{|}~")
        assert (codec.plain_address(f"{c}<a@b>") is not None) == (letter_or_digit or c in " _.'-")


class Text(str):
    """Somebody's own kind of string."""


def test_result_is_a_plain_string(codec: ModuleType) -> None:
    for value in ("a@b", Text("a@b"), Text("N <a@b>")):
        address = codec.plain_address(value)
        assert type(address) is str
        assert address == "a@b"


@pytest.mark.parametrize("value", [b"a@b", None, 5, ["a@b"]])
def test_address_is_text(codec: ModuleType, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^expected str, got {type(value).__name__}$"):
        codec.plain_address(value)


pieces = st.lists(
    st.sampled_from(
        [*"aZ9.@<>-_'+=? ,;:\"\\()[]\t\n\0é", "a@b", "<a@b>", "A <", '"A" <', " (A)", "b.c", "=?"]
    ),
    max_size=12,
)


@given(
    value=st.one_of(pieces.map("".join), st.text(max_size=12), st.emails(), st.emails().map("A <{}>".format))
)
@example("a@b\n")
@example("A\n <a@b>")
def test_fast_path_is_exact(codec: ModuleType, value: str) -> None:
    address = codec.plain_address(value)
    assert address is None or address == parseaddr(value)[1]


def test_twins_take_the_same_path(compiled: ModuleType) -> None:
    from aiosmtplib._codec import pure

    @given(value=pieces.map("".join))
    def check(value: str) -> None:
        assert compiled.plain_address(value) == pure.plain_address(value)

    check()
