"""RCPT command lines for plain addresses, by both twins."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._codec import pure


def test_one_line_for_each(codec: ModuleType) -> None:
    assert codec.encode_recipients(["b@example.com", "c@[x]"], b"") is None
    lines = codec.encode_recipients(("b@example.com", "c.d@example.com"), b" NOTIFY=NEVER")
    assert lines == (b"RCPT TO:<b@example.com> NOTIFY=NEVER\r\nRCPT TO:<c.d@example.com> NOTIFY=NEVER\r\n")
    assert codec.encode_recipients([], b" NOTIFY=NEVER") == b""


class Text(str):
    pass


@pytest.mark.parametrize(
    "address",
    [
        "",
        "b",
        "Bob <b@example.com>",
        "b@example.com\r\nDATA",
        "j\u00fcrgen@example.com",
        3,
        None,
        Text("b@c"),
    ],
)
def test_what_is_not_plain_is_for_others(codec: ModuleType, address: Any) -> None:
    assert codec.encode_recipients(["a@example.com", address], b"") is None


@pytest.mark.parametrize("tail", ["", None, bytearray()])
def test_a_tail_is_bytes(codec: ModuleType, tail: Any) -> None:
    with pytest.raises(TypeError, match=f"^expected bytes, got {type(tail).__name__}$"):
        codec.encode_recipients(["a@example.com"], tail)


@given(
    addresses=st.lists(st.one_of(st.emails(), st.text(max_size=9), st.just("a@b"))),
    tail=st.binary(max_size=9),
)
def test_the_twins_agree(compiled: ModuleType, addresses: list[str], tail: bytes) -> None:
    lines = pure.encode_recipients(addresses, tail)
    assert compiled.encode_recipients(addresses, tail) == lines
    if lines is not None:
        each = [b"RCPT TO:<%b>%b\r\n" % (address.encode("ascii"), tail) for address in addresses]
        assert lines == b"".join(each)
