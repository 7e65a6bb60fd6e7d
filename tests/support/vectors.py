"""What the codec is judged by: inputs with their results, and oracles that work in another way than it does.

The oracles are slow and plain on purpose: one byte or one line at a time, as the RFCs tell it.
"""

import random
import re
from collections.abc import Iterator

from hypothesis import strategies as st

from aiosmtplib.response import SMTPResponse

MAX_LINE = 8192
MAX_REPLY = 4 * MAX_LINE


def malformed(echo: str) -> SMTPResponse:
    return SMTPResponse(-1, f"Malformed SMTP response line: {echo}")


TOO_LONG = SMTPResponse(-1, "Response too long")

#: What a server sends, and the replies in it. Nothing of it is left incomplete.
REPLIES: list[tuple[bytes, list[tuple[int, str]]]] = [
    (b"250 2.1.0 Ok\r\n", [(250, "2.1.0 Ok")]),
    (b"250 Ok\n", [(250, "Ok")]),
    (b"250\r\n", [(250, "")]),
    (b"250\n", [(250, "")]),
    (b"250 \r\n", [(250, "")]),
    (b"000 \r\n", [(0, "")]),
    (b"999 Number\r\n", [(999, "Number")]),
    (b"250   a  b \t\r\n", [(250, "a  b")]),
    (b"250 \x0b\x0ca\x0b\x0c\r\n", [(250, "a")]),
    (b"250 \x1ca\x1f\x85\r\n", [(250, "\x1ca\x1f\\x85")]),
    (b"250 \xc2\xa0a\xc2\xa0\r\n", [(250, "\xa0a\xa0")]),
    (b"250 a\r\r\n", [(250, "a")]),
    (b"250 a\rb\r\n", [(250, "a\rb")]),
    (b"250 \xff\xc3\xa9\r\n", [(250, "\\xffé")]),
    (b"250 a\0b\r\n", [(250, "a\0b")]),
    (b"250 250 250-\r\n", [(250, "250 250-")]),
    (b"250-a\r\n250-b\r\n250 c\r\n", [(250, "a\nb\nc")]),
    (b"250-  a \r\n250\r\n", [(250, "a\n")]),
    (b"250-\r\n250-\r\n250 \r\n", [(250, "\n\n")]),
    (b"250-\xc3\r\n250 \xa9\r\n", [(250, "\\xc3\n\\xa9")]),
    # What follows a code is dropped, and is no digit and no control character but a tab.
    (b"250ok\r\n", [(250, "k")]),
    (b"250:ok\r\n", [(250, "ok")]),
    (b"250: ok\n", [(250, "ok")]),
    (b"250\tok\r\n", [(250, "ok")]),
    (b"250.\r\n", [(250, "")]),
    (b"250x-a\r\n", [(250, "-a")]),
    (b"250\xc3\xa9ok\r\n", [(250, "\\xa9ok")]),
    (b"250-a\r\n250\tb\r\n", [(250, "a\nb")]),
    (b"250-a\r\n250-b\r\n250\r\n", [(250, "a\nb\n")]),
    (b"250-a\n250:b\n250ok\n", [(250, "a\nb"), (250, "k")]),
    (b"250 a\r\n354 b\r\n", [(250, "a"), (354, "b")]),
    (b"250-a\r\n250 b\r\n235-c\n235 d\n250 e\r\n", [(250, "a\nb"), (235, "c\nd"), (250, "e")]),
    (b"250 " + b"x" * (MAX_LINE - 6) + b"\r\n", [(250, "x" * (MAX_LINE - 6))]),
    (
        (b"250-" + b"x" * 1018 + b"\r\n") * 31 + b"250 " + b"y" * 1018 + b"\r\n",
        [(250, "\n".join(["x" * 1018] * 31 + ["y" * 1018]))],
    ),
]

#: What is no reply, and what comes out in its place. Whatever follows is dropped.
BROKEN: list[tuple[bytes, SMTPResponse]] = [
    (b"\r\n", malformed("")),
    (b"\n", malformed("")),
    (b"25\r\n", malformed("25")),
    (b"2\n", malformed("2")),
    (b"25x foo\r\n", malformed("25x foo")),
    (b"2500 foo\r\n", malformed("2500 foo")),
    (b"250\x0bfoo\r\n", malformed("250\\x0bfoo")),
    (b"250\x1bfoo\r\n", malformed("250\\x1bfoo")),
    (b"250\x7ffoo\r\n", malformed("250\\x7ffoo")),
    (b"250\rfoo\r\n", malformed("250\\x0dfoo")),
    (b"2509\r\n", malformed("2509")),
    (b"250-a\r\n2500\r\n", malformed("2500")),
    (b"250-a\r\n251ok\r\n", malformed("251ok")),
    (b"250-a\r\n25\r\n", malformed("25")),
    (b"AUTH PLAIN AHUAcGFzcw==\r\n", malformed("AUTH <hidden>")),
    (b"C: auth\tlogin\x1bdQ==\r\n", malformed("C: auth <hidden>")),
    (b"error: AUTH=PLAIN=AHUAcGFzcw==\n", malformed("error: AUTH <hidden>")),
    (b"authentication failed\r\n", malformed("authentication failed")),
    (b"250\r\r\n", malformed("250\\x0d")),
    (b"250\0\r\n", malformed("250\\x00")),
    (b"+25 foo\r\n", malformed("+25 foo")),
    (b" 250 foo\r\n", malformed(" 250 foo")),
    (b"25 0 foo\r\n", malformed("25 0 foo")),
    (b"-250 foo\r\n", malformed("-250 foo")),
    (b"\xb2\xb5\xb0 foo\r\n", malformed("\\xb2\\xb5\\xb0 foo")),
    (b"\xd9\xa2\xd9\xa5\xd9\xa0 foo\r\n", malformed("\\xd9\\xa2\\xd9\\xa5\\xd9\\xa0 foo")),
    (b"\x1b[31mred\x7f\r\n", malformed("\\x1b[31mred\\x7f")),
    (b"250-a\r\n251 b\r\n", malformed("251 b")),
    (b"250-a\r\n251-b\r\n", malformed("251-b")),
    (b"250-a\r\n\r\n", malformed("")),
    (b"g" * 200 + b"\r\n", malformed("g" * 200)),
    (b"g" * 5000 + b"\r\n", malformed("g" * 200)),
    (b"250 " + b"x" * (MAX_LINE - 5) + b"\r\n", TOO_LONG),
    (b"g" * MAX_LINE + b"\n", TOO_LONG),
    (b"250-" + b"x" * MAX_LINE, TOO_LONG),
    ((b"250-" + b"x" * 1018 + b"\r\n") * 31 + b"250 " + b"y" * 1019 + b"\r\n", TOO_LONG),
    (b"250-\r\n" * (MAX_REPLY // 6 + 1), TOO_LONG),
]

#: A message, what DATA sends for it, and what BDAT sends for it.
MESSAGES: list[tuple[bytes, bytes, bytes]] = [
    (b"", b"\r\n.\r\n", b""),
    (b"\n", b"\r\n.\r\n", b"\r\n"),
    (b"\r", b"\r\n.\r\n", b"\r\n"),
    (b"\r\n", b"\r\n.\r\n", b"\r\n"),
    (b"a", b"a\r\n.\r\n", b"a"),
    (b"a\n", b"a\r\n.\r\n", b"a\r\n"),
    (b"a\r", b"a\r\n.\r\n", b"a\r\n"),
    (b"a\r\n", b"a\r\n.\r\n", b"a\r\n"),
    (b"a\n\r", b"a\r\n\r\n.\r\n", b"a\r\n\r\n"),
    (b"a\r\r\n", b"a\r\n\r\n.\r\n", b"a\r\n\r\n"),
    (b"a\r\n\n", b"a\r\n\r\n.\r\n", b"a\r\n\r\n"),
    (b"a\nb\rc\r\nd", b"a\r\nb\r\nc\r\nd\r\n.\r\n", b"a\r\nb\r\nc\r\nd"),
    (b".", b"..\r\n.\r\n", b"."),
    (b"..", b"...\r\n.\r\n", b".."),
    (b".\r\n", b"..\r\n.\r\n", b".\r\n"),
    (b"a.b.", b"a.b.\r\n.\r\n", b"a.b."),
    (b"a\n.", b"a\r\n..\r\n.\r\n", b"a\r\n."),
    (b"a\r.", b"a\r\n..\r\n.\r\n", b"a\r\n."),
    (b"a\r\n.\r\nb", b"a\r\n..\r\nb\r\n.\r\n", b"a\r\n.\r\nb"),
    (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n", b"a\r\n.\r\nb"),
    (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n", b"a\r\n.\r\nb"),
    (b"a\n.\r\nb", b"a\r\n..\r\nb\r\n.\r\n", b"a\r\n.\r\nb"),
    (b"a\r\n.\rMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n", b"a\r\n.\r\nMAIL"),
    (b"\0\xff\x85.\x0b\x0c\n.\0", b"\0\xff\x85.\x0b\x0c\r\n..\0\r\n.\r\n", b"\0\xff\x85.\x0b\x0c\r\n.\0"),
]

#: A string and the plain address in it, or None where email.utils has to be asked.
ADDRESSES: list[tuple[str, str | None]] = [
    ("a@b", "a@b"),
    ("A.b-c+d@Example-1.COM", "A.b-c+d@Example-1.COM"),
    ("!#$%&'*+-/=?^_`{|}~@b", "!#$%&'*+-/=?^_`{|}~@b"),
    ("<a@b>", "a@b"),
    ("Name <a@b.example>", "a@b.example"),
    ("Name<a@b>", "a@b"),
    ("J. R. O'Neill-Smith_2 <a@b>", "a@b"),
    ("  Two  blanks  <a@b>", "a@b"),
    ("", None),
    ("a", None),
    ("@", None),
    ("a@", None),
    ("@b", None),
    ("<>", None),
    (">", None),
    ("<", None),
    ("Name", None),
    ("Name >", None),
    ("a@b@c", None),
    (".a@b", None),
    ("a.@b", None),
    ("a..b@c", None),
    ("a@.b", None),
    ("a@b.", None),
    ("a@b..c", None),
    ("a@-b", None),
    ("a@b-", None),
    ("a@b-.c", None),
    ("a@b_c", None),
    ("a@[127.0.0.1]", None),
    ("a b@c", None),
    (" a@b", None),
    ("a@b ", None),
    ("a@b\n", None),
    ("a@b\r\nRCPT TO:<c@d>", None),
    ("a@b\0", None),
    ("a@b>", None),
    ("Name,a@b>", None),
    (",a@b>", None),
    ("<a@b", None),
    ("<<a@b>>", None),
    ("<a@b>>", None),
    ("<a@b> ", None),
    ("Name <a@b", None),
    ("Name <a@b> x", None),
    ("a@b> AUTH=<c@d>", None),
    ('"Name" <a@b>', "a@b"),
    ('"N. @ (x), y:" <a@b>', "a@b"),
    ('  "" <a@b>', "a@b"),
    ('"N"<a@b>', "a@b"),
    ('"N" x <a@b>', None),
    ('x "N" <a@b>', None),
    ('"N <a@b>', None),
    ('"N\\"" <a@b>', None),
    ('"N\t" <a@b>', None),
    ('"N"', None),
    ('"N" a@b>', None),
    ("a@b (N. O'Name)", "a@b"),
    ("a@b()", "a@b"),
    ("a@b (N) (O)", None),
    ("a@b (é)", None),
    ("a@b N)", None),
    ("(N)", None),
    (")", None),
    ("Name (x) <a@b>", None),
    ("Name, Other <a@b>", None),
    ("Name\t<a@b>", None),
    ("Name\0<a@b>", None),
    ("Näme <a@b>", None),
    ("Name <ä@b>", None),
    ("ä@b", None),
    ("a@bücher.example", None),
    ("a@b\udcff", None),
    ("a@b\U0001f4e7", None),
    ("\u0661@b", None),
]


def canonical(message: bytes) -> bytes:
    """Make every line end CRLF, by a machine that looks at one byte at a time."""
    out = bytearray()
    after_cr = False
    for byte in message:
        if byte == 0x0D:
            out += b"\r\n"
        elif byte != 0x0A:
            out.append(byte)
        elif not after_cr:
            out += b"\r\n"
        after_cr = byte == 0x0D
    return bytes(out)


def receive(wire: bytes) -> bytes:
    """Read DATA as a strict server does (RFC 5321 section 4.5.2), and return what it would deliver."""
    lines: list[bytes] = []
    start = 0
    while True:
        end = wire.find(b"\r\n", start)
        assert end >= 0, "the message has no end"
        line, start = wire[start:end], end + 2
        assert b"\r" not in line, "a bare CR"
        assert b"\n" not in line, "a bare LF"
        if line == b".":
            assert start == len(wire), "something follows the end of the message"
            return b"".join(line + b"\r\n" for line in lines)
        assert line[:1] != b"." or line[1:2], "an empty line with a dot"
        lines.append(line.removeprefix(b"."))


def read_replies(stream: bytes, max_line: int, max_reply: int) -> list[SMTPResponse]:
    """Read replies from all that a server sent."""
    replies: list[SMTPResponse] = []
    code = b""
    texts: list[str] = []
    size = 0
    for line in re.findall(rb"[^\n]*\n|[^\n]+", stream):
        size += len(line)
        if len(line) > max_line or size > max_reply:
            return [*replies, TOO_LONG]
        if not line.endswith(b"\n"):
            break
        match = re.fullmatch(rb"([0-9]{3})(?:([^\x00-\x08\x0a-\x1f0-9\x7f])(.*?))?\r?\n", line, re.DOTALL)
        if match is None or (texts and match[1] != code):
            shown_bytes = re.sub(rb"\r?\n\Z", b"", line)
            shown = re.sub(rb"(?is)(\bauth)(?![a-z]).*", rb"\1 <hidden>", shown_bytes)[:200].decode("latin-1")
            return [*replies, malformed(re.sub("[^ -~]", lambda odd: f"\\x{ord(odd[0]):02x}", shown))]
        code = match[1]
        texts.append((match[3] or b"").strip(b" \t\r\n\v\f").decode("utf-8", "backslashreplace"))
        if match[2] != b"-":
            replies.append(SMTPResponse(int(code), "\n".join(texts)))
            texts, size = [], 0
    return replies


def cuts(data: bytes, seed: int = 0) -> Iterator[list[bytes]]:
    """The same bytes whole, byte by byte, in two at every place (of a short one), and at random places."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    if len(data) <= 64:
        for i in range(len(data) + 1):
            yield [data[:i], data[i:]]
    rng = random.Random(seed)
    for _ in range(3):
        places = sorted(rng.randrange(len(data) + 1) for _ in range(4))
        yield [data[i:j] for i, j in zip([0, *places], [*places, len(data)], strict=True)]


def _joined(pieces: list[bytes]) -> bytes:
    return b"".join(pieces)


#: Messages made of what matters to the codec, with lines that are longer than the blocks it works in.
messages = st.lists(
    st.one_of(
        st.sampled_from(
            [b"\r", b"\n", b"\r\n", b".", b"\0", b"\x85", b"a", b"\r\n.\r\n", b"\n.\n", b"\r.\r"]
        ),
        st.integers(1, 70).map(lambda n: b"x" * n),
        st.binary(max_size=20),
    ),
    max_size=40,
).map(_joined)

#: What a server might send: replies, halves of them, and rubbish.
streams = st.lists(
    st.one_of(
        st.sampled_from(
            [b"250 ok\r\n", b"250-a\r\n", b"250 b\n", b"250-", b"250", b"251 ", b"2", b"\r", b"\n", b"\r\n"]
        ),
        st.sampled_from([b" ", b"-", b"\t", b":", b"\0", b"\xff", b"\xc3\xa9", b"\x0b", b"AUTH ", b"x" * 30]),
        st.binary(max_size=5),
    ),
    max_size=25,
).map(_joined)


@st.composite
def chunked(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> list[bytes]:
    """What ``whole`` draws, cut at any places; empty chunks among them."""
    data = draw(whole)
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[i:j] for i, j in zip([0, *places], [*places, len(data)], strict=True)]
