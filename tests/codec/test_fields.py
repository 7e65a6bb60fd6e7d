"""Lists of addresses, and the fields of a message by their names, on both twins."""

import email.policy
from email.message import EmailMessage
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib.email import extract_recipients

LISTS: list[tuple[str, list[str] | None]] = [
    ("a@b", ["a@b"]),
    ("A <a@b>,c@d ,\r\n e@f", ["a@b", "c@d", "e@f"]),
    ("", None),
    ("a@b,", None),
    (",a@b", None),
    ("a@b c@d", None),
    ('"A, B" <a@b>', ["a@b"]),
    ('a@b,\r\n "C, D" <e@f> ,"" <g@h>, i@j (K)', ["a@b", "e@f", "g@h", "i@j"]),
    ('A "B, C" <a@b>', None),
    ('"A, B <a@b>', None),
    ('"A, B" <a@b>,', None),
    ("g: a@b;", None),
    ("é@b", None),
    ("a@b\x00", None),
]


class Text(str):
    """Characters of a subclass are kept elsewhere."""

    __slots__ = ()


@pytest.mark.parametrize(("text", "expected"), LISTS)
def test_plain_addresses(codec: ModuleType, text: str, expected: list[str] | None) -> None:
    assert codec.plain_addresses(text) == expected
    assert codec.plain_addresses(Text(text)) == expected


@pytest.mark.parametrize("wrong", [None, b"a@b", 1])
def test_plain_addresses_takes_strings(codec: ModuleType, wrong: object) -> None:
    with pytest.raises(TypeError, match="expected str, got"):
        codec.plain_addresses(wrong)


@given(text=st.text(alphabet="ab@.,<> \t\r\n\"'-é;:()\\", max_size=30))
def test_never_more_lenient_than_the_header_registry(codec: ModuleType, text: str) -> None:
    found = codec.plain_addresses(text)
    if found is None or "\r" in text or "\n" in text:
        return
    message = EmailMessage(policy=email.policy.SMTP)
    message["To"] = text
    assert [one.addr_spec for one in message["To"].addresses] == found == extract_recipients(message)


@given(text=st.text(alphabet="ab@.,<> \t\r\n\"'-é;:()\\\0", max_size=30))
def test_twins(compiled: ModuleType, text: str) -> None:
    from aiosmtplib._codec import pure

    assert compiled.plain_addresses(text) == pure.plain_addresses(text)


def test_pick_fields(codec: ModuleType) -> None:
    fields = [("To", 1), ("X-To", 2), ("tO", 3), ("Tö", 4), ("\u212aey", 7), ("", 5), ("From", 6)]
    assert codec.pick_fields(iter(fields), ("to", "from", "cc", "key")) == [[1, 3], [6], (), ()]
    assert codec.pick_fields([], ()) == []
    for names in ((None,), ("to", 7)):
        with pytest.raises(TypeError):
            codec.pick_fields(fields, names)
