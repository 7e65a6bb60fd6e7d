"""Address fields of old-style messages, and messages of :mod:`email.mime` that were made with a policy."""

import email
import email.policy
import email.utils
from email.charset import Charset
from email.header import Header
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib.email import flatten_message

from .test_flatten import fields_and_body


def old(value: Any, name: str = "From") -> Message:
    message = Message()
    message[name] = value
    return message


def read(content: bytes, name: str = "From") -> list[tuple[str, str]]:
    """The display names and addresses that a reader finds."""
    message: Any = email.message_from_bytes(content, policy=email.policy.default)
    # Newer Pythons add an empty one for what follows an address and is none.
    return [(one.display_name, one.addr_spec) for one in message[name].addresses if one.addr_spec != "<>"]


VALUES: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("Jörg <a@b.example>", "=?utf-8?b?SsO2cmc=?= <a@b.example>", [("Jörg", "a@b.example")]),
    ("Jörg<a@b.example>", "=?utf-8?b?SsO2cmc=?= <a@b.example>", [("Jörg", "a@b.example")]),
    ('"J\\ö, B." <a@b>', "=?utf-8?b?SsO2LCBCLg==?= <a@b>", [("Jö, B.", "a@b")]),
    ('"é" "f" (g) h@i <a@b>', "=?utf-8?b?w6kgZiAoZykgaEBp?= <a@b>", [("é f (g) h@i", "a@b")]),
    ("a@b (é)", "a@b (=?utf-8?b?w6k=?=)", [("", "a@b")]),
    ("(é a@b", "(=?utf-8?b?w6kgYUBi?=)", []),
    ("a@b é", "a@b =?utf-8?b?w6k=?=", [("", "a@b")]),
    ('"é" a@b', "=?utf-8?b?w6k=?= a@b", []),
    ("Né <a@b> é", "=?utf-8?b?TsOp?= <a@b> =?utf-8?b?w6k=?=", [("Né", "a@b")]),
    ("Né <a@b", "=?utf-8?b?TsOp?= <a@b", [("Né", "a@b")]),
    ("c@d, Né <a@b>, e@f", "c@d, =?utf-8?b?TsOp?= <a@b>, e@f", [("", "c@d"), ("Né", "a@b"), ("", "e@f")]),
    ("g: Né <a@b>, c@d;", "g: =?utf-8?b?TsOp?= <a@b>, c@d;", [("Né", "a@b"), ("", "c@d")]),
    # An address that is not ASCII does not exist without SMTPUTF8; the others have to survive.
    ("é@d, a@b", "=?utf-8?b?w6lAZA==?= , a@b", [("", '"é@d"'), ("", "a@b")]),
    ("N <é@d>, a@b", "=?utf-8?b?TiA8w6lAZD4=?= , a@b", [("", '"N <é@d>"'), ("", "a@b")]),
    ("Né <é@d>", "=?utf-8?b?TsOpIDzDqUBkPg==?=", [("", '"Né <é@d>"')]),
    ("Né", "=?utf-8?b?TsOp?=", [("", "Né")]),
]


@pytest.mark.parametrize(("value", "written", "addresses"), VALUES)
def test_only_the_name_is_encoded(value: str, written: str, addresses: list[tuple[str, str]]) -> None:
    expected = f"From: {written}\n\n".encode()
    for text in (value, Header(value), Header(value, "utf-8")):
        assert flatten_message(old(text)) == expected
    if addresses:
        assert read(expected) == addresses


NAMES = ["sender", "FROM", "To", "Cc", "Reply-To", "Resent-From", "Resent-To", "Resent-Cc", "Resent-Sender"]


@pytest.mark.parametrize("name", NAMES)
def test_address_fields(name: str) -> None:
    assert flatten_message(old("Né <a@b>", name)) == f"{name}: =?utf-8?b?TsOp?= <a@b>\n\n".encode()


@pytest.mark.parametrize("cte_type", ["7bit", "8bit"])
@pytest.mark.parametrize("name", ["To", "CC", "reply-to", "From", "Sender"])
def test_a_field_that_is_there_too_often_is_written_as_by_the_standard_library(
    name: str, cte_type: str
) -> None:
    message = old("c@d", name)
    message[name.swapcase()] = "Né <a@b>"
    message[name] = Header("Né <a@b>", "utf-8")
    message["Resent-To"] = message["Resent-To"] = "Né <a@b>"  # one in each block
    whole = "=?utf-8?b?TsOpIDxhQGI+?="
    kept = "Resent-To: =?utf-8?b?TsOp?= <a@b>\n"
    assert flatten_message(message, cte_type=cte_type) == (
        f"{name}: c@d\n{name.swapcase()}: {whole}\n{name}: {whole}\n{kept}{kept}\n".encode()
    )


@pytest.mark.parametrize("name", ["Subject", "X", "Comments"])
def test_other_fields(name: str) -> None:
    assert flatten_message(old("Né <a@b>", name)) == f"{name}: =?utf-8?b?TsOpIDxhQGI+?=\n\n".encode()


def test_header_objects_made_right() -> None:
    """They have the charset that they were made with."""
    header = Header("N\u00e9", "iso-8859-1")
    header.append("<a@b>", "us-ascii")
    assert flatten_message(old(header)) == b"From: =?iso-8859-1?q?N=E9?= <a@b>\n\n"
    raw = Header(b"N\xe9 <a@b>".decode("ascii", "surrogateescape"), Charset("unknown-8bit"))
    assert flatten_message(old(raw)) == b"From: =?unknown-8bit?b?TukgPGFAYj4=?=\n\n"


def test_a_value_of_no_known_class() -> None:
    class Encodes:
        def encode(self, **options: Any) -> str:
            return "a@b"

    assert flatten_message(old(Encodes())) == b"From: a@b\n\n"


def test_raw_bytes() -> None:
    message = email.message_from_bytes(b"From: N\xe9 <a@b>\nTo: x\n <c@d>\n\n")
    assert flatten_message(message) == b"From: N\xe9 <a@b>\nTo: x\n <c@d>\n\n"
    assert flatten_message(message, cte_type="7bit") == (
        b"From: =?unknown-8bit?q?N=E9?= <a@b>\nTo: x\n <c@d>\n\n"
    )


names = st.text(st.sampled_from("aé日 \"\\.-'&"), min_size=1, max_size=12)
mailboxes = st.one_of(
    st.just("a@b.example"),
    st.builds("{} <c@d.example>".format, names.map(lambda name: name.replace('"', "").replace("\\", ""))),
    names.map(lambda name: name.replace("\\", "\\\\").replace('"', '\\"')).map('"{}" <e@f.example>'.format),
    names.map(lambda name: name.replace("\\", "").replace('"', "")).map("g@h.example ({})".format),
)


@given(st.lists(mailboxes, min_size=1, max_size=8))
def test_every_address_is_found(values: list[str]) -> None:
    content = flatten_message(old(", ".join(values), "To"))
    domains = {"a": "a@b.example", "c": "c@d.example", "e": "e@f.example", "g": "g@h.example"}
    (value,) = email.message_from_bytes(content).get_all("To", [])
    # The parser of the modern messages fails at odd dots.
    assert [address for _, address in email.utils.getaddresses([value])] == [
        next(one for one in domains.values() if one in value) for value in values
    ]


@given(st.text(st.sampled_from('aé <>"\\(),;:@.\n\r\udcff'), max_size=30))
def test_any_value_is_one_field(value: str) -> None:
    for cte_type in ("8bit", "7bit"):
        message = old(value, "To")
        message["X"] = "y"
        try:
            content = flatten_message(message, cte_type=cte_type)
        except (email.errors.HeaderParseError, UnicodeEncodeError):
            continue  # it holds a field, which is known by its colon; or both text and raw bytes
        assert fields_and_body(content)[0] == [b"To", b"X"]


POLICIES = [email.policy.SMTP, email.policy.SMTPUTF8, email.policy.default]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_policy_says_how_a_message_is_written(policy: Any) -> None:
    def fill(message: Message) -> Message:
        message["From"] = "Jörg <a@example.com>"
        message["Subject"] = "é " + "word " * 30
        return message

    text = fill(MIMEText("hé\nFrom here\n", "plain", "utf-8", policy=policy))
    several = fill(MIMEMultipart("mixed", "=b", [text], policy=policy))
    for message in (text, several):
        for utf8, name in ((False, "=?utf-8?q?J=C3=B6rg?="), (True, "Jörg")):
            content = flatten_message(message, utf8)
            assert f"\r\nFrom: {name} <a@example.com>\r\n".encode() in content
            assert content.count(b"\n") == content.count(b"\r\n")
            modern = EmailMessage()
            modern._headers = message._headers  # type: ignore[attr-defined]
            modern.set_payload(message.get_payload())
            assert content == flatten_message(modern, utf8)
            if not utf8:
                assert read(content) == [("Jörg", "a@example.com")]


def test_the_class_without_a_policy() -> None:
    assert flatten_message(MIMEText("x\n")).count(b"\r") == 0
    assert flatten_message(EmailMessage(policy=email.policy.compat32)) == b"\r\n"  # type: ignore[arg-type]
