"""Header fields of thousands of characters, for which the standard library needs quadratic time."""

import email
import email.policy
import time
from collections.abc import Callable
from email.errors import HeaderParseError
from email.message import EmailMessage, Message
from typing import Any

import pytest

from aiosmtplib.email import extract_recipients, flatten_message

NAMED = ", ".join(f'"Last {number}, First" <user{number}@example.com>' for number in range(100))
PLAIN = ", ".join(f"User {number} <user{number}@example.com>" for number in range(100))
RECIPIENTS = [f"user{number}@example.com" for number in range(100)]


def parsed(value: str, name: str = "To") -> EmailMessage:
    message = email.message_from_string("\nx\n", policy=email.policy.default)
    message._headers.append((name, value))  # type: ignore[attr-defined]
    return message


def old(value: str, name: str = "To") -> Message:
    message = Message()
    message[name] = value
    message.set_payload("x\n")
    return message


def test_a_plain_list_is_folded_as_ever() -> None:
    message = parsed(PLAIN)
    assert flatten_message(message) == message.as_bytes(policy=email.policy.SMTP)


@pytest.mark.parametrize("cte_type", ["7bit", "8bit"])
@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize(
    "value", [NAMED, f"Jörg <j@example.com>, {NAMED}", NAMED.replace("Last 1,", "L\udce9,")]
)
def test_a_list_keeps_its_addresses(value: str, utf8: bool, cte_type: str) -> None:
    message = parsed(value)
    content = flatten_message(message, utf8, cte_type)
    assert max(map(len, content.split(b"\r\n"))) < (998 if "\udce9" not in value else 1 << 16)
    again = email.message_from_bytes(content, policy=email.policy.default)
    found = [address.addr_spec for address in again["To"].addresses]
    assert [one for one in found if one != "j@example.com"] == RECIPIENTS
    assert extract_recipients(message)[-100:] == RECIPIENTS


def test_parameters_are_kept() -> None:
    value = "attachment; " + "; ".join(f'p{number}="(value) {number}"' for number in range(200))
    again = email.message_from_bytes(flatten_message(parsed(value, "Content-Disposition")))
    assert again.get_param("p199", header="Content-Disposition") == "(value) 199"


@pytest.mark.parametrize("build", [parsed, old])
@pytest.mark.parametrize("unit", ["\n.", "\r.", "a\r\n"])
def test_line_breaks_are_folded(build: Callable[[str], Message], unit: str) -> None:
    content = flatten_message(build(unit * 2000))
    head = email.message_from_bytes(content)
    assert head.keys() == ["To"]
    assert head.get_payload() in ("x\n", "x\r\n")


@pytest.mark.parametrize("size", [1, 2000])
def test_a_field_within_a_field_is_refused(size: int) -> None:
    with pytest.raises(HeaderParseError, match="header"):
        flatten_message(old("a" * size + "\nBcc: b@example.com"))
    assert flatten_message(old("a" * size + "\n b: c")).count(b"\n b: c") == 1


@pytest.mark.parametrize("unit", ["(a)", '"', "\\", ".", ",", '"a" ', "\n.", "--=\n"])
@pytest.mark.parametrize("name", ["To", "Content-Disposition"])
@pytest.mark.parametrize("build", [parsed, old])
def test_no_value_takes_long(build: Any, name: str, unit: str) -> None:
    message = build(unit * (40_000 // len(unit)), name)
    started = time.process_time()
    flatten_message(message)
    assert time.process_time() - started < 5  # in quadratic time, minutes
