"""SASLprep: the examples of RFC 4013, each of its tables, and errors that do not repeat a password."""

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._sasl.saslprep import saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("", ""),
        # RFC 4013 section 3
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        # section 2.1: other spaces are mapped to that of ASCII
        ("a\u00a0b", "a b"),
        ("a\u3000b", "a b"),
        # section 2.2: NFKC
        ("e\u0301", "\u00e9"),
        # section 2.4, RFC 3454 section 6
        ("\u05d0\u05d1", "\u05d0\u05d1"),
        ("\u05d01\u05d1", "\u05d01\u05d1"),
    ],
)
def test_prepared(text: str, prepared: str) -> None:
    assert saslprep(text, stored=True) == saslprep(text, stored=False) == prepared


@pytest.mark.parametrize(
    "bad",
    [
        "\u0007",
        "\x7f",
        "é\u0007",  # C.2.1
        "\u0080",  # C.2.2
        "\ue000",  # C.3
        "\ufdd0",  # C.4
        chr(0xD800),  # C.5
        "\ufffd",  # C.6
        "\u2ff0",  # C.7
        "\u0340\u200e",  # C.8
        "\U000e0001",  # C.9
        "\u06271",  # the example of RFC 4013 for mixed directions
        "1\u0627",
        "\u05d0a\u05d0",
    ],
)
@pytest.mark.parametrize("stored", [True, False])
def test_forbidden(bad: str, stored: bool) -> None:
    text = f"{bad[:1]}{bad[1:]}"
    with pytest.raises(ValueError, match="SASLprep forbids") as caught:
        saslprep(text, stored=stored)
    del text
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert "text" not in (frames[-1].locals or {})
    assert "prepared" not in (frames[-1].locals or {})


def test_unassigned() -> None:
    assert saslprep("\u0221", stored=False) == "\u0221"
    with pytest.raises(ValueError):
        saslprep("\u0221", stored=True)


@given(st.text())
def test_once_is_enough(text: str) -> None:
    try:
        prepared = saslprep(text, stored=True)
    except ValueError:
        return
    assert saslprep(prepared, stored=True) == prepared
