"""EHLO replies: what ordinary servers announce, and what strange ones do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib.esmtp import Limits, parse_esmtp_extensions, parse_limits, parse_size_limit, split_recipients

POSTFIX = """mail.example.com
PIPELINING
SIZE 10240000
VRFY
ETRN
STARTTLS
AUTH PLAIN LOGIN
AUTH=PLAIN LOGIN
ENHANCEDSTATUSCODES
8BITMIME
DSN
SMTPUTF8
CHUNKING"""


def test_postfix() -> None:
    extensions, methods = parse_esmtp_extensions(POSTFIX)
    assert extensions == {
        "pipelining": "",
        "size": "10240000",
        "vrfy": "",
        "etrn": "",
        "starttls": "",
        "auth": "PLAIN LOGIN",
        "enhancedstatuscodes": "",
        "8bitmime": "",
        "dsn": "",
        "smtputf8": "",
        "chunking": "",
    }
    assert methods == ["plain", "login"]


@pytest.mark.parametrize(
    ("message", "extensions", "methods"),
    [
        pytest.param("", {}, [], id="empty"),
        pytest.param("mail.example.com", {}, [], id="greeting alone"),
        pytest.param("SIZE 100", {}, [], id="greeting that looks like a keyword"),
        pytest.param("AUTH PLAIN\nDSN", {"dsn": ""}, [], id="greeting that looks like AUTH"),
        pytest.param("h\nsTaRtTlS", {"starttls": ""}, [], id="mixed case"),
        pytest.param(
            "h\nAUTH GSSAPI CRAM-MD5", {"auth": "GSSAPI CRAM-MD5"}, ["gssapi", "cram-md5"], id="auth"
        ),
        pytest.param("h\nAUTH", {"auth": ""}, [], id="auth without mechanisms"),
        pytest.param("h\nAUTH=LOGIN", {"auth": "LOGIN"}, ["login"], id="old style"),
        pytest.param("h\nauth=LOGIN PLAIN", {"auth": "LOGIN PLAIN"}, ["login", "plain"], id="old style, two"),
        pytest.param("h\nAUTH=", {"auth": ""}, [], id="old style, none"),
        pytest.param(
            "h\nAUTH=LOGIN PLAIN\nAUTH PLAIN CRAM-MD5",
            {"auth": "PLAIN CRAM-MD5"},
            ["login", "plain", "cram-md5"],
            id="both styles, each mechanism once",
        ),
        pytest.param("h\nAUTH X x X", {"auth": "X x X"}, ["x"], id="mechanism three times"),
        pytest.param("h\nXAUTH PLAIN\nAUTH-X A", {"xauth": "PLAIN", "auth-x": "A"}, [], id="almost AUTH"),
        pytest.param("h\nSIZE 1\nSIZE 2", {"size": "2"}, [], id="keyword twice"),
        pytest.param(
            "h\nLIMITS RCPTMAX=2  MAILMAX=3 ", {"limits": "RCPTMAX=2  MAILMAX=3"}, [], id="parameters"
        ),
        pytest.param("h\nSIZE\t7\nAUTH\tA\tB", {"size": "7", "auth": "A B"}, ["a", "b"], id="tabs"),
        pytest.param("h\nDSN\r\n\n   \n DSN2 \r", {"dsn": "", "dsn2": ""}, [], id="blank lines and stray CR"),
        pytest.param(
            "h\nX=1 y\n-\n=", {"x=1": "y", "-": "", "=": ""}, [], id="no keywords, kept as they are"
        ),
    ],
)
def test_vectors(message: str, extensions: dict[str, str], methods: list[str]) -> None:
    assert parse_esmtp_extensions(message) == (extensions, methods)


@given(st.text())
def test_any_text(message: str) -> None:
    extensions, methods = parse_esmtp_extensions(message)
    assert len(extensions) <= message.count("\n")
    assert len(methods) == len(set(methods))
    assert bool(methods) <= ("auth" in extensions)


@pytest.mark.parametrize(
    ("parameters", "limit"),
    [
        ("10240000", 10240000),
        ("7 8", 7),
        ("0", None),
        ("000", None),
        ("", None),
        ("x", None),
        ("-1", None),
        ("+1", None),
        ("1_0", None),
        ("1e6", None),
        ("\u0661\u0662", None),
        ("\u00b2", None),
        ("9" * 20, 10**20 - 1),
        ("9" * 21, None),
        ("1" * 30_000, None),
    ],
)
def test_size_limit(parameters: str, limit: int | None) -> None:
    assert parse_size_limit({"size": parameters}) == limit


def test_size_not_announced() -> None:
    assert parse_size_limit({"dsn": ""}) is None


@pytest.mark.parametrize(
    ("parameters", "limits"),
    [
        pytest.param("MAILMAX=5", Limits(mailmax=5), id="one"),
        pytest.param(
            "RCPTMAX=100 MAILMAX=999999 RCPTDOMAINMAX=1", Limits(999999, 100, 1), id="all, in another order"
        ),
        pytest.param("rcptmax=7 MailMax=8", Limits(8, 7), id="any case"),
        pytest.param("RCPTMAX=20  RCPTMAX=10 RCPTMAX=30", Limits(rcptmax=10), id="three times"),
        pytest.param("", Limits(), id="no limits"),
        pytest.param("MAILMAX", Limits(), id="no value"),
        pytest.param("MAILMAX=", Limits(), id="empty value"),
        pytest.param("MAILMAX=0 RCPTMAX=1", Limits(rcptmax=1), id="nothing allowed"),
        pytest.param("MAILMAX=05", Limits(), id="leading zero"),
        pytest.param("MAILMAX=1000000", Limits(), id="seven digits"),
        pytest.param("MAILMAX=-1 RCPTMAX=+1 RCPTDOMAINMAX=1_0", Limits(), id="numbers of Python only"),
        pytest.param("MAILMAX=\u0661 RCPTMAX=\u00b2", Limits(), id="digits that are not ASCII"),
        pytest.param("MAILMAX=5; RCPTMAX=5,", Limits(), id="separators that are none"),
        pytest.param("MAILMAX = 5", Limits(), id="blanks around the sign"),
        pytest.param("MAILMAX=1=2 X=3 count=4 _fields=5 =6 =", Limits(), id="unknown"),
        pytest.param("MAILMAX=" + "1" * 30_000, Limits(), id="very long"),
    ],
)
def test_limits(parameters: str, limits: Limits) -> None:
    assert parse_limits({"limits": parameters}) == limits


def test_limits_not_announced() -> None:
    assert parse_limits({"dsn": ""}) == Limits(None, None, None)


@given(st.text())
def test_limits_of_any_text(parameters: str) -> None:
    assert all(limit is None or 0 < limit < 10**6 for limit in parse_limits({"limits": parameters}))


@pytest.mark.parametrize(
    ("rcptmax", "groups"),
    [
        (None, ["abcde"]),
        (6, ["abcde"]),
        (5, ["abcde"]),
        (4, ["abcd", "e"]),
        (2, ["ab", "cd", "e"]),
        (1, ["a", "b", "c", "d", "e"]),
    ],
)
def test_recipients_are_split(rcptmax: int | None, groups: list[str]) -> None:
    assert split_recipients(list("abcde"), rcptmax) == [list(group) for group in groups]


def test_recipients_that_fit_are_not_copied() -> None:
    recipients = ["a@example.com"]
    assert split_recipients(recipients, 1)[0] is recipients
