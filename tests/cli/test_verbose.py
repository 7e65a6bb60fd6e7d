"""What --verbose may show. A leak here ends up in somebody's ticket."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._cli.verbose import MAX_SHOWN, Dialogue, Secrets, one_line

USER, PASSWORD = "alice", "correct horse/ä"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


Step = tuple[str, str]

SESSIONS: dict[str, list[Step]] = {
    "PLAIN": [
        ("C", f"AUTH PLAIN {b64(chr(0) + USER + chr(0) + PASSWORD)}\r\n"),
        ("S", "235 2.7.0 Ok\r\n"),
    ],
    "PLAIN after a challenge": [
        ("C", "AUTH PLAIN\r\n"),
        ("S", "334 \r\n"),
        ("C", f"{b64(chr(0) + USER + chr(0) + PASSWORD)}\r\n"),
        ("S", "235 2.7.0 Ok\r\n"),
    ],
    "LOGIN": [
        ("C", "auth login\r\n"),
        ("S", f"334 {b64('Username:')}\r\n"),
        ("C", f"{b64(USER)}\r\n"),
        ("S", f"334 {b64('Password:')}\r\n"),
        ("C", f"{b64(PASSWORD)}\r\n"),
        ("S", "535-5.7.8 Wrong:\r\n535 5.7.8 " + PASSWORD + "\r\n"),
    ],
    "CRAM-MD5": [
        ("C", "AUTH CRAM-MD5\r\n"),
        ("S", f"334 {b64('<1@example.com>')}\r\n"),
        ("C", f"{b64(USER + ' b913a602c7eda7a495b4e6e7334d3890')}\r\n"),
        ("S", "235 2.7.0 Ok\r\n"),
    ],
    "XOAUTH2": [
        ("C", f"AUTH XOAUTH2 {b64(f'user={USER}{chr(1)}auth=Bearer {PASSWORD}{chr(1)}{chr(1)}')}\r\n"),
        ("S", f"334 {b64('{401}')}\r\n"),
        ("C", "\r\n"),
        ("S", "535 5.7.8 No\r\n"),
    ],
    "an echo": [
        ("C", f"AUTH PLAIN {b64(chr(0) + USER + chr(0) + PASSWORD)}\r\n"),
        ("S", f"500 What is AUTH PLAIN {b64(chr(0) + USER + chr(0) + PASSWORD)}?\r\n"),
    ],
    "a password that looks like a command": [
        ("C", "AUTH LOGIN\r\n"),
        ("S", "334 \r\n"),
        ("C", "RSET\r\n"),
        ("S", "235 2.7.0 Ok\r\n"),
    ],
    "replies out of step": [
        ("C", "AUTH LOGIN\r\n"),
        ("S", "250 Who asked?\r\n334 \r\n"),
        ("C", f"{b64(PASSWORD)}\r\n"),
        ("S", "235 2.7.0 Ok\r\n"),
    ],
}
SHOWN = {
    "PLAIN": ["C: AUTH PLAIN <hidden>", "S: 235 2.7.0 Ok"],
    "PLAIN after a challenge": ["C: AUTH PLAIN", "S: 334", "C: <hidden>", "S: 235 2.7.0 Ok"],
    "LOGIN": [
        "C: AUTH login",
        f"S: 334 {b64('Username:')}",
        "C: <hidden>",
        f"S: 334 {b64('Password:')}",
        "C: <hidden>",
        "S: 535-5.7.8 Wrong:",
        "S: 535 5.7.8 <hidden>",
    ],
    "CRAM-MD5": ["C: AUTH CRAM-MD5", f"S: 334 {b64('<1@example.com>')}", "C: <hidden>", "S: 235 2.7.0 Ok"],
    "XOAUTH2": ["C: AUTH XOAUTH2 <hidden>", f"S: 334 {b64('{401}')}", "C: <hidden>", "S: 535 5.7.8 No"],
    "an echo": ["C: AUTH PLAIN <hidden>", "S: 500 What is AUTH PLAIN <hidden>?"],
    "a password that looks like a command": ["C: AUTH LOGIN", "S: 334", "C: <hidden>", "S: 235 2.7.0 Ok"],
    "replies out of step": [
        "C: AUTH LOGIN",
        "S: 250 Who asked?",
        "S: 334",
        "C: <hidden>",
        "S: 235 2.7.0 Ok",
    ],
}

MAIL: list[Step] = [
    ("S", "220 mx.example ESMTP\r\n"),
    ("C", "EHLO me\r\n"),
    ("S", "250-mx.example\r\n250-AUTH PLAIN\r\n250 PIPELINING\r\n"),
    ("C", "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"),
    ("S", "250 Ok\r\n250 Ok\r\n354 Go\r\n"),
    ("C", "Subject: Hi\r\n\r\nRSET\r\n..\r\nsecret text\r\n.\r\nRSET\r\nMAIL FROM:<>\r\nDATA\r\n"),
    ("S", "250 Kept\r\n250 Ok\r\n250 Ok\r\n554 No recipients\r\n"),
    ("C", "BDAT 12\r\nRSET\r\nx\r\ny\r\nBDAT 0 LAST\r\nMAIL FROM:<c@example.com>\r\nDATA\r\n"),
    ("S", "503 No\r\n503 No\r\n250 Ok\r\n354 Go\r\n"),
    ("C", ".\r\nQUIT\r\n"),
    ("S", "554 Empty\r\n221 Bye\r\n"),
]
MAIL_SHOWN = [
    "S: 220 mx.example ESMTP",
    "C: EHLO me",
    "S: 250-mx.example",
    "S: 250-AUTH PLAIN",
    "S: 250 PIPELINING",
    "C: MAIL FROM:<a@example.com>",
    "C: RCPT TO:<b@example.com>",
    "C: DATA",
    "S: 250 Ok",
    "S: 250 Ok",
    "S: 354 Go",
    "C: Subject: Hi",
    "C: ... (38 bytes in all)",
    "C: .",
    "C: RSET",
    "C: MAIL FROM:<>",
    "C: DATA",
    "S: 250 Kept",
    "S: 250 Ok",
    "S: 250 Ok",
    "S: 554 No recipients",
    "C: BDAT 12",
    "C: ... (12 bytes in all)",
    "C: BDAT 0 LAST",
    "C: MAIL FROM:<c@example.com>",
    "C: DATA",
    "S: 503 No",
    "S: 503 No",
    "S: 250 Ok",
    "S: 354 Go",
    "C: ... (0 bytes in all)",
    "C: .",
    "C: QUIT",
    "S: 554 Empty",
    "S: 221 Bye",
]


def show(steps: list[Step], size: int | None = None, secrets: Secrets | None = None) -> list[str]:
    """The lines shown for a session that comes in chunks of ``size`` bytes."""
    lines: list[str] = []
    dialogue = Dialogue(lines.append, secrets or Secrets())
    for side, text in steps:
        data = text.encode()
        step = size or len(data)
        for start in range(0, len(data), step):
            dialogue(side, data[start : start + step])
    dialogue.close()
    return lines


@pytest.mark.parametrize("size", [None, 1, 2, 3, 7])
@pytest.mark.parametrize("name", SESSIONS)
def test_credentials_are_hidden(name: str, size: int | None) -> None:
    secrets = Secrets()
    secrets.protect(PASSWORD, USER)
    lines = show([*SESSIONS[name], ("C", "QUIT\r\n"), ("S", "221 Bye\r\n")], size, secrets)
    assert lines[:-2] == SHOWN[name]
    # After the exchange, commands are shown again; but not while an unasked reply leaves that open.
    assert lines[-2:] == ["C: QUIT", "S: 221 Bye"]
    for form in (PASSWORD, b64(PASSWORD), b64(USER), b64(f"\0{USER}\0{PASSWORD}")):
        assert form not in "\n".join(lines)


@pytest.mark.parametrize("name", [name for name in SESSIONS if name != "LOGIN"])
def test_credentials_are_hidden_without_knowing_them(name: str) -> None:
    assert show(SESSIONS[name]) == SHOWN[name]


@pytest.mark.parametrize("size", [None, 1, 2, 3, 7])
def test_messages_are_abbreviated(size: int | None) -> None:
    assert show(MAIL, size) == MAIL_SHOWN


PIECES = [
    b"AUTH",
    b"BDAT",
    b"DATA",
    b" ",
    b"5",
    b"0",
    b"LAST",
    b"\r\n",
    b"\n",
    b"354",
    b"334 ",
    b"250-",
    b".",
]


def test_message_and_next_transaction_in_one_write() -> None:
    """RFC 2920 section 3.1: the reply to the message is not taken for one to a command behind it."""
    group = "MAIL FROM:<a@example.com>\r\nDATA\r\n"
    replies = ("S", "250 Kept\r\n250 Ok\r\n354 Go\r\n")
    lines = show(
        [
            ("C", "DATA\r\n"),
            ("S", "354 Go\r\n"),
            *[("C", f"one\r\n.\r\n{group}"), replies] * 2,
            ("C", "two\r\n.\r\n"),
        ]
    )
    assert lines[-3:] == ["C: two", "C: ... (5 bytes in all)", "C: ."]
    assert lines.count("C: ... (5 bytes in all)") == 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from("CS"),
            st.lists(st.sampled_from(PIECES) | st.binary(max_size=9), max_size=9).map(b"".join),
        ),
        max_size=20,
    )
)
def test_nothing_on_the_wire_breaks_it(steps: list[tuple[str, bytes]]) -> None:
    lines: list[str] = []
    dialogue = Dialogue(lines.append, Secrets())
    for side, data in steps:
        dialogue(side, data)
    dialogue.close()
    assert all(line.isprintable() and line[:3] in ("C: ", "S: ") for line in lines)


def test_what_is_broken_off() -> None:
    assert show([("S", "220 he")]) == ["S: 220 he (cut off)"]
    transaction = [("C", "DATA\r\n"), ("S", "354 Go\r\n"), ("C", "Subject: Hi\r\nTo")]
    assert show(transaction)[2:] == ["C: Subject: Hi", "C: ... (15 bytes in all, broken off)"]
    assert show([("C", "BDAT 9 LAST\r\nTo")])[1:] == ["C: ... (2 bytes in all, broken off)"]


def test_servers_get_no_hold_of_the_terminal() -> None:
    assert show([("S", "220 \x1b[2J\x07\u202e ok\tthen\r\n")]) == ["S: 220 \\x1b[2J\\x07\\u202e ok\\tthen"]
    assert show([("S", "220 \udcff".encode("utf-8", "surrogatepass").decode("latin-1") + "\r\n")])[
        0
    ].isprintable()
    [long] = show([("S", "220 " + "x" * 5000 + "\r\n")])
    assert len(long) == len("S: ") + MAX_SHOWN + len("...")


def test_secret_at_the_edge_of_what_is_shown() -> None:
    secrets = Secrets()
    secrets.protect("hunter2hunter2")
    [line] = show([("S", "x" * (MAX_SHOWN - 5) + "hunter2hunter2\r\n")], secrets=secrets)
    assert "hunter" not in line


@pytest.mark.parametrize("password", ["a b", 'quo"te', "it's", "back\\slash", "ta\tb", "ä", "\udcff"])
def test_secret_is_masked_where_an_error_quotes_it(password: str) -> None:
    secrets = Secrets()
    secrets.protect(password, USER)
    for quoted in (password, repr(password), repr(password.encode("utf-8", "surrogateescape"))):
        assert "<hidden>" in secrets.mask(f"cannot use {quoted} here")
        assert password not in secrets.mask(f"cannot use {quoted} here")


def test_masking_hides_the_longest_first() -> None:
    secrets = Secrets()
    secrets.add("abcd")
    secrets.add("abcdefgh")
    secrets.add("ab")
    assert secrets.mask("abcdefgh abcd ab") == "<hidden> <hidden> ab"


def test_one_line() -> None:
    assert one_line("5.1.1 No\nsuch user\r\n") == "5.1.1 No / such user"
    assert one_line("Grüße") == "Grüße"
    assert one_line("") == ""
