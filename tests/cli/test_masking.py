"""What is masked in all that the command line prints. A leak here ends up in somebody's ticket."""

import base64

import pytest

from aiosmtplib._cli.masking import Secrets, one_line
from aiosmtplib._trace.transcript import MAX_LINE, shown

USER = "alice"


@pytest.mark.parametrize(
    "password", ["a b", 'quo"te', "it's", "back\\slash", "ta\tb", "ä", "\udcff", "\\\t'\""]
)
def test_secret_is_masked_where_an_error_quotes_it(password: str) -> None:
    secrets = Secrets()
    secrets.protect(password, USER)
    octets = password.encode("utf-8", "surrogateescape")
    for quoted in (password, repr(password), repr(octets), shown(password)):
        assert "<hidden>" in secrets.mask(f"cannot use {quoted} here")
        assert password not in secrets.mask(f"cannot use {quoted} here")


@pytest.mark.parametrize(
    "sent",
    [
        "correct horse/ä",
        "\0alice\0correct horse/ä",
        "\0al\0correct horse/ä",
        "alice\0alice\0correct horse/ä",
        "user=alice\1auth=Bearer correct horse/ä\1\1",
        *(f"n,a=alice,\1host={'x' * size}\1auth=Bearer correct horse/ä\1\1" for size in range(3)),
    ],
)
def test_secret_is_masked_where_it_is_encoded(sent: str) -> None:
    secrets = Secrets()
    secrets.protect("correct horse/ä", USER)
    encoded = base64.b64encode(sent.encode()).decode()
    start, hidden, end = secrets.mask(f"<{encoded}>").partition("<hidden>")
    assert hidden
    before = sent.encode().partition(b"correct")[0]
    # What is left is what stands around it, and at most a few bits of it.
    assert len(start) - 1 <= -(-len(before) * 8 // 6)
    assert len(end) - 1 <= len(encoded) - len(before + "correct horse/ä".encode()) * 8 // 6


def test_what_is_too_short_is_not_masked() -> None:
    """It would rather tell where it is."""
    secrets = Secrets()
    secrets.protect("abcd")
    assert secrets.mask(f"{base64.b64encode(b'x abcd').decode()} abc a") == "eCBhYmNk abc a"


def test_masking_hides_the_longest_first() -> None:
    secrets = Secrets()
    secrets.add("abcd")
    secrets.add("abcdefgh")
    secrets.add("ab")
    assert secrets.mask("abcdefgh abcd ab") == "<hidden> <hidden> ab"


@pytest.mark.parametrize("size", range(1, len("correct horse") + 2))
def test_secret_at_the_edge_of_what_is_shown(size: int) -> None:
    secrets = Secrets()
    secrets.protect("correct horse")
    text = "x" * (MAX_LINE - 1 - size) + "correct horse"
    line = secrets.mask(shown(text + "y" * MAX_LINE))
    assert "corr" not in line
    assert ("<hidden>" in line) is (size >= 4)
    assert line.endswith("\N{HORIZONTAL ELLIPSIS}")


def test_one_line() -> None:
    assert one_line("5.1.1 No\nsuch user\r\n") == "5.1.1 No / such user"
    assert one_line("Grüße") == "Grüße"
    assert one_line("\x1b[2J\x07\u202e ok\tthen") == "\\x1b[2J\\x07\\u202e ok\\tthen"
    assert one_line("") == ""


@pytest.mark.parametrize(
    ("secret", "cut", "left"),
    [
        ("abababac", "abababa", ""),
        ("abababac", "xababab", "x"),
        ("aaaa-aaab", "aaaa-aaaa", "aaaa-"),
        ("aa", "aa", ""),
    ],
)
def test_the_beginning_of_a_secret_that_repeats_itself(secret: str, cut: str, left: str) -> None:
    secrets = Secrets()
    secrets.protect(secret)
    assert secrets.mask(f"{cut}\N{HORIZONTAL ELLIPSIS}") == f"{left}<hidden>\N{HORIZONTAL ELLIPSIS}"
