"""What messages for hypothesis are made of: names and values of header fields, long, good and bad."""

import datetime
from collections.abc import Sequence
from email.headerregistry import Address, Group
from typing import Any

from hypothesis import strategies as st

__all__ = (
    "boundaries",
    "broken_fields",
    "fields",
    "names",
    "parameters",
    "texts",
    "types",
)


class Shouting(str):
    """A str that is more than one."""

    def __str__(self) -> str:
        return self.upper()


def joined(*pools: Sequence[str], most: int = 8) -> st.SearchStrategy[str]:
    """Text from pieces, out of any of the pools."""
    return st.lists(st.one_of(*map(st.sampled_from, pools)), max_size=most).map("".join)


#: Where the limits of folding are, and where those of a line of SMTP.
LIMITS = (72, 74, 75, 76, 77, 78, 79, 80, 150, 156, 230, 996, 997, 998, 999, 1000)

WORDS = ("a", "word ", "two words", "hello", "Re: ", "x" * 30, "y" * 70, "no.blank", "[list] ", "A-Z", "100%")
BLANKS = (" ", "  ", "\t", " \t ", "   ", " " * 40)
ODD = (
    "=?",
    "?=",
    "=?utf-8?q?=C3=A9?=",
    "=?utf-8?b?w6k=?=",
    "=?x-no?q?a?=",
    "=?utf-8?q?a_b?= =?utf-8?q?c?=",
    "=",
    "?",
    "_",
)
SPECIALS = (
    "(",
    ")",
    "(c)",
    '"',
    '"q s"',
    "\\",
    "<",
    ">",
    "@",
    ",",
    ";",
    ":",
    ".",
    "--",
    "[",
    "]",
    "'",
    "%",
    "*",
    "/",
)
FOREIGN = (
    "é",
    "ü ",
    "ß",
    "日本語",
    "テスト ",
    "Привет ",
    "مرحبا",
    "🎉",
    "e\u0301",
    "\u200b",
    "\u00a0",
    "\ufeff",
    "ﬀ",
)
RAW_BYTES = ("\udce9", "\udcff\udcfe", "\udcc3\udca9", "\udc80")
CONTROLS = (
    "\x00",
    "\x01",
    "\x07",
    "\x0b",
    "\x0c",
    "\x1b",
    "\x1c",
    "\x1e",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\ud800",
)
BREAKS = (
    "\n",
    "\r",
    "\r\n",
    "\n ",
    "\r\n ",
    "\r\n\t",
    "\r ",
    "\n\n",
    "\r\r\n",
    "\nX: y",
    "\r\nBcc: a@b",
    "\n \n",
)
LONG = ("word " * 15, "x" * 76, "y" * 77, "z" * 200, "é" * 40, "日本語 " * 12, "b, " * 60)


UNITS = ("word ", "ab ", "a, ", "a\t", "two  blanks  ", "<a@b.c>, ", "k=v; ", "word " * 14 + "x")
FOREIGN_UNITS = ("x", "é", "日 ", "x" * 77 + " ")


@st.composite
def near_a_limit(draw: st.DrawFn, name: str = "Subject") -> str:
    """A value so long that its line, with the name, comes close to a limit."""
    length = draw(st.sampled_from(LIMITS)) - len(name) - 2
    # What has to be encoded takes the standard library a time that grows with the square of the length.
    unit = draw(st.sampled_from(UNITS if length > 300 else UNITS + FOREIGN_UNITS))
    text = (unit * (length // len(unit) + 1))[: max(length, 0)]
    return text + draw(
        st.sampled_from(["", "", " ", "\t", " end", "é"] if length < 300 else ["", " ", " end"])
    )


plain = joined(WORDS, WORDS, BLANKS[:1])
texts = st.one_of(
    plain,
    joined(WORDS, BLANKS),
    joined(WORDS, SPECIALS),
    joined(WORDS, FOREIGN),
    joined(WORDS, ODD, FOREIGN),
    joined(WORDS, LONG, FOREIGN, BLANKS),
    joined(WORDS, CONTROLS, RAW_BYTES, SPECIALS, FOREIGN, ODD, BLANKS),
    near_a_limit(),
    st.text(max_size=60),
)

_atoms = st.sampled_from(
    ["a", "user.name", "x" * 20, "first+tag", "o'neil", "é", "日本", "a..b", '"q s"', "", "1", "\udce9"]
)
_domains = st.sampled_from(
    ["b", "example.com", "[127.0.0.1]", "ex ample", "ö.example", "x" * 60 + ".example", "", "b."]
)
specs = st.builds("{}@{}".format, _atoms, _domains) | st.just("someone@example.com")
_phrases = st.one_of(
    st.sampled_from(
        [
            "Some One",
            "One",
            '"Last, First"',
            "J. Random",
            "Né",
            "日本 太郎",
            "",
            "=?utf-8?q?N=C3=A9?=",
            '"é, ü"',
        ]
    ),
    joined(WORDS, SPECIALS, FOREIGN, BLANKS, RAW_BYTES, CONTROLS[:4], most=3),
)
mailboxes = st.one_of(
    st.just("someone@example.com"),
    st.just("Some One <someone@example.com>"),
    specs,
    st.builds("{} <{}>".format, _phrases, specs),
    st.builds('"{}" <{}>'.format, _phrases, specs),
    st.builds("{} ({})".format, specs, _phrases),
    st.builds("<{}>".format, specs),
)
_lists = st.one_of(
    st.builds(
        lambda one, separator: separator.join(one),
        st.lists(mailboxes, max_size=12),
        st.sampled_from([", ", ",", ",\t", " , ", ";"]),
    ),
    st.builds("{}: {};".format, _phrases, st.lists(mailboxes, max_size=3).map(", ".join)),
    st.just("undisclosed-recipients:;"),
    near_a_limit("To"),
    texts,
)


def _address(display: str, spec: str) -> Any:
    try:
        return Address(display, addr_spec=spec)
    except Exception:
        return (
            Address(display, "user", "example.com")
            if "\n" not in display and "\r" not in display
            else Address()
        )


_addresses = st.builds(_address, _phrases, specs)
_groups = st.builds(
    lambda name, members: Group(name, tuple(members)), st.none() | _phrases, st.lists(_addresses, max_size=3)
)
addresses = st.one_of(*[_lists] * 6, _addresses, st.lists(_addresses | _groups, max_size=8).map(tuple))

_moments = st.sampled_from(
    [
        "Mon, 23 Nov 2026 12:00:00 +0000",
        "Mon, 23 Nov 2026 12:00:00 -0500 (EST)",
        "23 Nov 26 12:00 GMT",
        "yesterday",
        "Mon, 32 Nov 2026 12:00:00 +0000",
        "",
        "  Mon,  23 Nov 2026 12:00:00 +0000  ",
    ]
)
dates = st.one_of(
    _moments,
    _moments,
    _moments,
    st.datetimes(
        min_value=datetime.datetime(1900, 1, 1),
        timezones=st.sampled_from(
            [None, datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=-5))]
        ),
    ),
    texts,
)
ids = st.one_of(
    st.sampled_from(
        ["<1@example.com>", "<a b@c>", "a@b", "<>", " <1@b> ", "<é@b>", "<1@b>" * 3, "<" + "x" * 80 + "@b>"]
    ),
    st.builds(lambda n: " ".join(f"<{i}.{'x' * i}@example.com>" for i in range(n)), st.integers(0, 30)),
    texts,
)
types = st.sampled_from(
    [
        "text/plain",
        "text/html",
        "multipart/mixed",
        "multipart/signed",
        "multipart/digest",
        "multipart/report",
        "message/rfc822",
        "message/delivery-status",
        "message/partial",
        "application/octet-stream",
        "image",
        "",
        "é/ü",
    ]
)
parameters = st.one_of(
    st.sampled_from(
        [
            "utf-8",
            "name.pdf",
            "two words.pdf",
            "é.pdf",
            "日本語.pdf",
            "x" * 90,
            'q"uo\\te',
            "",
            "a;b",
            "a\u2028b",
            "n\r\nX: y",
        ]
    ),
    st.tuples(
        st.sampled_from(["utf-8", "iso-8859-1"]),
        st.sampled_from(["", "en"]),
        st.sampled_from(["é.txt", "x" * 80]),
    ),
    texts,
)
boundaries = st.sampled_from(
    ["=1=", "x", "b" * 70, "two words", "é", 'q"', "", "=_(.)?", " trailing ", "===============123=="]
)
_content_types = st.one_of(
    st.builds(
        lambda kind, more: f"{kind}{more}",
        types,
        st.sampled_from(
            [
                "",
                "; charset=utf-8",
                '; charset="us-ascii"',
                "; charset=utf-16",
                "; charset=no-such",
                '; boundary="=1="',
                "; boundary=x",
                "; name*=utf-8''%C3%A9.pdf",
                "; name*0=aaa; name*1=bbb",
                '; name="é.pdf"',
                "; name=" + "x" * 80,
                ";",
                "; charset",
                "; charset=utf-8 (comment)",
                "; format=flowed; delsp=yes; x=y; charset=iso-8859-1",
            ]
        ),
    ),
    texts,
)
_encodings = st.one_of(
    st.sampled_from(
        [
            "7bit",
            "8bit",
            "8BIT",
            "quoted-printable",
            "base64",
            "Base64 ",
            "binary",
            "no-such",
            "",
            "base64 (c)",
        ]
    ),
    texts,
)
_dispositions = st.one_of(
    st.sampled_from(
        [
            "attachment",
            "inline",
            'attachment; filename="a.pdf"',
            'attachment; filename="é.pdf"',
            "",
            "form-data; name=x",
            "attachment; filename=" + "y" * 78,
        ]
    ),
    texts,
)
_by_name = {
    "Subject": near_a_limit("Subject") | texts,
    "From": addresses,
    "To": addresses,
    "Cc": addresses,
    "Reply-To": addresses,
    "Sender": mailboxes | addresses,
    "Bcc": addresses,
    "Resent-Bcc": mailboxes,
    "Resent-To": addresses,
    "Date": dates,
    "Message-ID": ids,
    "In-Reply-To": ids,
    "References": ids,
    "MIME-Version": st.sampled_from(["1.0", "1.0 (c)", " 1.0 ", "2", "x", "1 . 0"]),
    "Content-Type": _content_types,
    "Content-Transfer-Encoding": _encodings,
    "Content-Disposition": _dispositions,
    "Content-ID": ids,
    "Content-Language": plain,
    "X-Text": texts,
    "List-Unsubscribe": st.just("<https://example.com/u?" + "t=1&" * 30 + ">, <mailto:u@example.com>")
    | near_a_limit("List-Unsubscribe"),
    "DKIM-Signature": st.just(
        "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1;\r\n\th=from:to; b=" + "A" * 60
    )
    | texts,
    "Received": st.just("from a (b [127.0.0.1]) by c with ESMTPS id 1; Mon, 23 Nov 2026 12:00:00 +0000")
    | texts,
    "subject": texts,
    "X": near_a_limit("X"),
}
names = st.sampled_from([*_by_name, "X-" + "n" * 70, "X-" + "n" * 80])
fields = st.one_of([st.tuples(st.just(name), value) for name, value in _by_name.items()])
broken_fields = st.tuples(
    st.sampled_from(
        [
            "Subject",
            "From",
            "X",
            "Content-Type",
            "",
            "Two Words",
            "Colon:",
            "é",
            "X-Tab\t",
            "Bcc",
            "bcc",
            "X\n",
            "\udce9",
        ]
    ),
    st.one_of(
        joined(WORDS, BREAKS, SPECIALS), joined(WORDS, BREAKS, FOREIGN, LONG), joined(CONTROLS, BREAKS), texts
    ),
)
