"""Addresses for the tests: what passes and what is refused, how a server reads a path, and ways to make more.

What two readers read as different addresses, or as a different number of them, is what attacks are made of.
"""

from hypothesis import strategies as st

__all__ = ("ACCEPTED", "REFUSED", "dot_atoms", "domains", "mailboxes", "path_problem", "pieces")

#: Caller's string, address. The same on every Python.
ACCEPTED = [
    ("", ""),
    (" ", ""),
    ("\r\n", ""),
    ("a@b", "a@b"),
    ("user@example.com", "user@example.com"),
    ("<user@example.com>", "user@example.com"),
    ("Name <user@example.com>", "user@example.com"),
    ("Name<user@example.com>", "user@example.com"),
    ('"Last, First" <user@example.com>', "user@example.com"),
    ('"<x@y>" <user@example.com>', "user@example.com"),
    ('"x@y" <user@example.com>', "user@example.com"),
    ("user@example.com <user@example.com>", "user@example.com"),
    ("Müller GmbH & Co. <a@b>", "a@b"),
    ("=?utf-8?q?N=C3=A4me?= <a@b>", "a@b"),
    ("O'Brien [work] :) <a@b>", "a@b"),
    ("B. Smith <b@example.com", "b@example.com"),
    ("<b@example.com", "b@example.com"),
    (" a@b ", "a@b"),
    ("a@b\r\n", "a@b"),
    ("\ta@b", "a@b"),
    ("A\tB\t<a@b>", "a@b"),
    ("Name < a @ b . c >", "a@b.c"),
    ("a . b@c", "a.b@c"),
    ("a\t@b", "a@b"),
    ("postmaster", "postmaster"),
    ("<postmaster>", "postmaster"),
    ("user@[127.0.0.1]", "user@[127.0.0.1]"),
    ("user@[IPv6:::1]", "user@[IPv6:::1]"),
    ("N <user@[IPv6:2001:db8::1]>", "user@[IPv6:2001:db8::1]"),
    ("a@b (comment)", "a@b"),
    ("(one (two) \\) three) a@b", "a@b"),
    ('(it"s) a(,)@b(<)', "a@b"),
    ("Name (c) <a@b> (d)", "a@b"),
    ('"a b"@c', '"a b"@c'),
    ('<"a b"@c>', '"a b"@c'),
    ('"a<b"@c', '"a<b"@c'),
    ('"a>b"@c', '"a>b"@c'),
    ('"> AUTH=<"@c', '"> AUTH=<"@c'),
    ('N <"a>b"@c>', '"a>b"@c'),
    ('"a\\"b"@c', '"a\\"b"@c'),
    ('"a . b@c" @ d', '"a . b@c"@d'),
    ('"a"@[127.0.0.1]', '"a"@[127.0.0.1]'),
    ('"a"', '"a"'),
    ('""@b', '""@b'),
    ("group: a@b;", "a@b"),
    ("mailto:a@b", "a@b"),
    ("Dr: X <a@b>", "a@b"),
    ("a@b,", "a@b"),
    ("é@b", "é@b"),
    ("é <ü@ö.example>", "ü@ö.example"),
    ('"aé"@b', '"aé"@b'),
    # not for us to judge
    ("a..b@c", "a..b@c"),
    (".a.@b.", ".a.@b."),
    ("a@b_c", "a@b_c"),
    ("a@", "a@"),
    ("@b", "@b"),
    ("a@b@c", "a@b@c"),
    ("a%b!c@d", "a%b!c@d"),
]

#: What could become a parameter, a command or a second recipient, and what nobody can read.
REFUSED = [
    "a@b> AUTH=<c",
    "<a@b> AUTH=<c>",
    "a@b> SIZE=1",
    "a@b>",
    "<a@b>>",
    "<<a@b>>",
    "<x@y <a@b>",
    "Name <x <a@b>",
    "<a@b,",
    "<a@b;",
    "<a@b>x",
    "<a@b> x",
    "Name <a@b> x",
    "<a@b>\r\nRCPT TO:<c@d>",
    "a@b\r\nRCPT TO:<c@d>",
    "a@b\nDATA",
    "a@b\rDATA",
    "a\0@b",
    "a@b\0",
    "a\x7f@b",
    "a\x0b@b",
    "Na\x1bme <a@b>",
    '"a\r\nDATA"@b',
    '"a\0b"@c',
    '"a\tb"@c',
    '"a\\\nb"@c',
    "a\x85@b",
    '"a\x85b"@c',
    "a\u2028@b",
    '"a\u2029b"@c',
    "a\xa0b@c",
    "a@b\xa0",
    "\u3000a@b",
    "a b@c",
    "a@b c@d",
    "a@b SIZE=1",
    "a(c)b@d",
    "a b",
    "a@b, c@d",
    "a@b; c@d",
    "a@b,c@d",
    "<a@b>, <c@d>",
    "<a@b, c@d>",
    "<a@b, c@d",
    "<a@b; c@d>",
    "a,b@c",
    "Last, First <a@b>",
    "x@y <a@b>",
    "A@B Corp <a@b>",
    "<x@y> <a@b>",
    "group: a@b, c@d;",
    "undisclosed-recipients:;",
    ",",
    "<>",
    "Name <>",
    "< >",
    "<(c)>",
    "<@a,@b:c@d>",
    "a@b:25",
    "<mailto:a@b>",
    "a\\@b",
    "a@b\\",
    "a@b\\>",
    '"a@b',
    'a"@b',
    '"',
    '"a\\"@b',
    '"a"b@c',
    '"a" b@c',
    'a"b"@c',
    '"a"."b"@c',
    'a@"b"',
    '"a"<b@c> "',
    "a[b@c",
    "[a]@b",
    "a@[b",
    "a@b[c]",
    "a@[b]c",
    "a@[b c]",
    "a@[1.2>.3.4]",
    "a@[1.2\\].3]",
    '"a"x@[1.2.3.4]',
    "(",
    "a@b (",
    "a@b (\\)",
    ")",
    "a@b)",
]


def path_problem(path: str) -> str | None:
    """Read ``path`` as a server does: a ``<``, then a mailbox in which only quotes hide a ``>``."""
    quoted = escaped = False
    for index, character in enumerate(path):
        if character < " " or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029":
            return f"control character at {index}"
        if escaped:
            escaped = False
        elif quoted:
            escaped = character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character == "<" and index:
            return f"< at {index}"
        elif character == ">" and index != len(path) - 1:
            return f"> at {index}"
        elif character.isspace() or character in "\\,;()":
            return f"{character!a} at {index}"
    if quoted or path[0] != "<" or path[-1] != ">":
        return "open end"
    return None


def pieces() -> st.SearchStrategy[str]:
    """Strings dense in what matters to a parser of addresses."""
    atoms = ["a", "b@c", "é", "@", ".", " ", "\t", "\r\n", "\n", "\r", "\0", "\x85", "\u2028", "\xa0"]
    marks = ["<", ">", '"', "\\", "(", ")", "[", "]", ",", ";", ":", "a@b", "<a@b>", '"a b"@c', " AUTH=<c>"]
    return st.lists(st.sampled_from(atoms + marks), max_size=12).map("".join)


ATEXT = "abcXYZ019!#$%&'*+-/=?^_`{|}~"
dot_atoms = st.lists(st.text(ATEXT, min_size=1, max_size=8), min_size=1, max_size=3).map(".".join)
domains = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,8}){0,2}", fullmatch=True)
literals = st.sampled_from(["[127.0.0.1]", "[IPv6:::1]", "[IPv6:2001:db8::1]"])
qtext = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1, max_size=10
)
quoted = st.builds('"{}"'.format, qtext)
comments = st.from_regex(r"\([a-z ,.@<]{0,8}\)", fullmatch=True)


@st.composite
def mailboxes(draw: st.DrawFn) -> tuple[str, str]:
    """A mailbox by the rules of RFC 5322 section 3.4, and the address in it."""
    spec = f"{draw(dot_atoms | quoted)}@{draw(domains | literals)}"
    if draw(st.booleans()):
        return f"{spec} {draw(comments | st.just(''))}", spec
    words = st.lists(st.text(ATEXT, min_size=1, max_size=6) | quoted, max_size=3)
    return f"{' '.join(draw(words))} <{spec}>", spec
