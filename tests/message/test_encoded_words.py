"""Encoded words and encoded parameters (RFC 2047, RFC 2231): drawn fields, beside the standard library.

``make encoded-words`` draws as many others as are wanted, on any Python.
"""

from email.message import EmailMessage

import pytest

from aiosmtplib._codec.constants import NEWER_WORDS, OLDER_WORDS
from aiosmtplib._message import flatten as flattening

from ..conftest import EXPECT_EXTENSIONS, NO_EXTENSIONS
from ..support.encoded_words import DRAWN, Twin, compare, drawn

TWINS = ["pure", "compiled"] if EXPECT_EXTENSIONS and not NO_EXTENSIONS else ["pure"]

needs_known_words = pytest.mark.skipif(not flattening._words(), reason="no rules that the codec knows")


@needs_known_words
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("kind", DRAWN)
def test_as_the_standard_library_writes_them(kind: str, name: str) -> None:
    counts, wrong = compare(drawn(kind, 300, 4711), Twin(name))
    assert not wrong
    assert counts["written"] > 100


@needs_known_words
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize(
    "value",
    [
        # Its parser decodes what is no encoded word within quotes (RFC 2047 section 5).
        '"=?utf-8?q?x?= é" <u@example.com>',
        '" é" <u@example.com>',
        '"é " <u@example.com>',
        '"é" <>',
        "Zoë <>",
    ],
)
def test_odd_addresses_are_left_to_the_library(value: str, name: str) -> None:
    message = EmailMessage()
    message["To"] = value
    assert Twin(name)(message["To"]) is None


@pytest.mark.slow
@needs_known_words
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("kind", DRAWN)
def test_many(kind: str, name: str) -> None:
    assert not compare(drawn(kind, 20_000, 1), Twin(name))[1]


@pytest.mark.parametrize("words", [OLDER_WORDS, NEWER_WORDS])
@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.skipif(len(TWINS) < 2, reason="one twin alone")
def test_twins_agree_on_the_rules_of_other_pythons(kind: str, words: int) -> None:
    pure, compiled = (Twin(name, words) for name in TWINS)
    headers = list(drawn(kind, 1000, 4712))
    assert [compiled(header) for header in headers] == [pure(header) for header in headers]
