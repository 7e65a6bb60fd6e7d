"""What messages for hypothesis are made of: bodies with whatever a line may hold, and mangled sources."""

from hypothesis import strategies as st

from .. import corpus
from .values import CONTROLS, FOREIGN, LONG, RAW_BYTES, joined

__all__ = ("ENDS", "LINES", "ascii_only", "bodies", "encodable", "latin", "mangled", "small_sources")

LINES = (
    "hello",
    "From me",
    ">From you",
    ".",
    "..",
    ". dot",
    "--=1=",
    "--x",
    "--x--",
    "--=1=--",
    "trailing ",
    "\ttab",
    "",
    "x" * 76,
    "y" * 998,
    "z" * 1200,
    "=20",
    "=",
    "w " * 300,
)
ENDS = ("\n", "\n", "\r\n", "\r", "", "\n\n", "\r\n\r\n")
bodies = st.one_of(
    joined(LINES, ENDS, most=10),
    joined(LINES, ENDS, FOREIGN, most=10),
    joined(LINES, ENDS, FOREIGN, RAW_BYTES, CONTROLS, LONG, most=10),
    st.text(max_size=80),
)
ascii_only = joined(LINES, ENDS, most=10)
encodable = joined(LINES, ENDS, FOREIGN, most=8)
latin = joined(LINES, ENDS, ("é", "ü", "\xa0"), most=8)

small_sources = st.sampled_from(
    [
        b"From: a@b\r\nTo: c@d,\r\n e@f\r\nSubject: =?utf-8?b?w6k=?=\r\n folded\r\n\r\nbody\r\n.\r\n",
        b"From: \xc3\xa9 <a@b>\nSubject: \xff\xfe raw\n\nbody\n",
        b"Content-Type: multipart/mixed; boundary=x\n\npre\n--x\n\npart\n--x\nContent-Type: text/html;"
        b" charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\xc3\xa9\n--x--\nepi",
        b"Content-Type: multipart/mixed; boundary=x\n\nbroken",
        b"Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: s\n\nt\n--x--",
        b"Content-Type: message/delivery-status\n\nA: b\n\nC: d\n\nE: f\n",
        b"X: " + b"y" * 2000 + b"\n\nz",
        b"X: " + b"y z " * 500 + b"\nY:\n folded\n\tonly\n\nz",
        b"Subject: a\r b\x0bc\r\nX: d\x85e\n\n\r\r\n",
        b"\nonly a body",
        b"no header field\n\nx",
        b"",
    ]
)
_tokens = (
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\n ", b"\0", b"\xff", b"\xc3\xa9", b"\x85"),
    *(
        b":",
        b";",
        b"--",
        b"=?utf-8?q?",
        b"?=",
        b"=",
        b'"',
        b"From ",
        b"Bcc: x@y\n",
        b"Subject: twice\n",
        b"x" * 80,
    ),
    *(
        b"Content-Type: multipart/mixed\n",
        b"Content-Type: message/rfc822\n",
        b"Content-Transfer-Encoding: 8bit\n",
    ),
    *(b"Content-Type: text/plain; charset=utf-8\n", b"boundary=", b"Content-Transfer-Encoding: base64\n"),
)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """The source of a message after some accidents."""
    source = draw(st.sampled_from(_sources) if draw(st.integers(0, 3)) else small_sources)
    ends = draw(st.sampled_from([None, None, b"\r\n", b"\r", b"\n"]))
    for _ in range(draw(st.integers(0, 4))):
        # Most of what matters is in the front.
        reach = draw(st.sampled_from([200, 1000, len(source)]))
        at = draw(st.integers(0, min(reach, len(source))))
        accident = draw(st.integers(0, 12)) // 3
        if accident == 0:
            source = source[:at] + draw(st.sampled_from(_tokens)) + source[at:]
        elif accident == 1:
            source = source[:at] + source[at + draw(st.integers(1, 80)) :]
        elif accident == 2:
            source = source[:at] + draw(st.binary(min_size=1, max_size=2)) + source[at + 1 :]
        elif accident == 3:
            size = draw(st.integers(1, 300))
            source = source[: at + size] + source[at:]
        else:
            source = source[:at]
    return source if ends is None else source.replace(b"\r\n", b"\n").replace(b"\n", ends)


#: Short enough to be parsed some ten thousand times.
_sources = [source for source in corpus.sources().values() if len(source) < 12_000]
