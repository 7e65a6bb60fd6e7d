"""Random fields in other alphabets, folded by the codec and by the standard library (RFC 2047, RFC 2231).

    python -m tests.support.encoded_words [--count N] [--seed N]

draws as many as are wanted. It needs nothing but Python and the package, so that it runs on any of them.
"""

import argparse
import collections
import importlib
import random
import sys
from collections.abc import Callable, Iterator
from copy import copy
from email.message import EmailMessage
from importlib.util import find_spec
from typing import Any

from aiosmtplib._codec.constants import NEWER_WORDS, OLDER_WORDS, OTHER_WORDS, PLAIN
from aiosmtplib._message import flatten as flattening

__all__ = ("DRAWN", "Twin", "by_library", "compare", "drawn")

TEXT = (
    "the of invoice re: (2) a,b x=1 _under 100% don't ! ~ - für Zoë Müller café naïve über €uro é "
    "日本語 メール пример сообщения Ω… „Angebot“ — übersicht 🎉 İstanbul 東京都千代田区丸の内 "
    "Donaudampfschifffahrtsgesellschaftskapitän"
)
PEOPLE = (
    "Zoë Müller Jürgen Ann Bob Äpfel Łukasz Иван Петров 山田 太郎 van der O_Neill Ž J. (x) 株式会社サンプル"
)
WORDS, NAMES = TEXT.split(), PEOPLE.split()
ALPHABETS = (
    "abc",
    "abcé日ü.,-=_?!",
    "é",
    "日本語",
    "aé\xa0\u3000\u2028",
    "🎉a",
    "=?utf8qb",
    "\udcc3\udca9é",
    '()<>@,:;.\\"[]é',
)
BLANKS = (" ", " ", " ", "  ", "\t", " \t ", "\u3000", " \xa0")
ODD_NAMES = (
    '"Müller, Zoë"',
    '"Zoë (Büro)"',
    '"a.b c" é',
    "é (x) é",
    '"é \\"q\\" x"',
    '" é "',
    '"=?utf-8?q?x?= é"',
    '""',
    "é.b",
    "a.é b",
)
PATHS = (
    "<{0}@example.com>",
    "<{0}@example.com>",
    "<{0}@bücher.example>",
    "< {0}@example.com >",
    "<{0}é@example.com>",
)
SUBJECTS = ("Subject", "X-A", "Comments", "Thread-Topic", "MIME-Version")


def word(rng: random.Random) -> str:
    if rng.random() < 0.8:
        return rng.choice(WORDS)
    return "".join(rng.choices(rng.choice(ALPHABETS), k=int(rng.paretovariate(0.7)) % 90 + 1))


def text(rng: random.Random) -> tuple[str, str]:
    """An unstructured field."""
    blank = BLANKS if rng.random() < 0.3 else " "
    words = [word(rng) for _ in range(rng.choice((1, 2, 3, 5, 8, 13, 25, 60)))]
    value = "".join(one + rng.choice(blank) * rng.choice((1, 1, 1, 1, 1, 1, 2, 3)) for one in words)
    if rng.random() < 0.8:
        value = value.rstrip(" ")
    if rng.random() < 0.1:
        value = rng.choice(blank) + value
    name = rng.choice(SUBJECTS) if rng.random() < 0.8 else "X-" + "n" * rng.randrange(1, 76)
    return name, value


def mailbox(rng: random.Random) -> str:
    path = (rng.choice(PATHS) if rng.random() < 0.1 else PATHS[0]).format(
        f"u{rng.randrange(10 ** rng.randrange(1, 9))}"
    )
    kind = rng.random()
    if kind < 0.1:
        return path.strip("<> ")
    if kind < 0.2:
        return f"{rng.choice(ODD_NAMES)} {path}"
    name = rng.choice((" ", " ", " ", "  ", "\t")).join(
        rng.choices(NAMES, k=rng.choice((1, 2, 2, 2, 3, 5, 9)))
    )
    if rng.random() < 0.2:
        name = f'"{word(rng)} {word(rng)}"' if rng.random() < 0.5 else f'"{name}"'
    elif rng.random() < 0.05:
        name = word(rng)
    return f"{name} {path}"


def addresses(rng: random.Random) -> tuple[str, str]:
    """An address list."""
    count = rng.choice((1, 1, 1, 2, 3, 5, 20))
    value = rng.choice((", ", ", ", ", ", ",", " , ")).join(mailbox(rng) for _ in range(count))
    if rng.random() < 0.02:
        value = f"Grüppe: {value};"
    return rng.choice(("To", "Cc", "From", "Reply-To", "Resent-To")), value


def parameters(rng: random.Random) -> tuple[str, str]:
    """A file name."""
    file = " ".join(word(rng) for _ in range(rng.choice((1, 1, 2, 3, 8)))) + rng.choice(("", ".pdf"))
    if rng.random() < 0.3:
        return "Content-Type", f'application/{rng.choice(("pdf", "x" * 50))}; name="{file}"'
    more = rng.choice(("", "", '; size="1"', "; creation-date=x", f'; filename2="{word(rng)}"'))
    return "Content-Disposition", f'attachment; filename="{file}"{more}'


DRAWN: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "text": text,
    "addresses": addresses,
    "parameters": parameters,
}


def drawn(kind: str, count: int, seed: int) -> Iterator[Any]:
    """Header objects of one kind."""
    rng = random.Random(seed)
    while count:
        name, value = DRAWN[kind](rng)
        message = EmailMessage()
        try:
            message[name] = value
        except Exception:  # a defect of the parser
            continue
        count -= 1
        yield message[name]


def by_library(header: Any) -> bytes | None:
    """The field as the standard library folds it; None where it raises an error."""
    try:
        folded: bytes = rules().policy.fold_binary(header.name, header)
    except Exception:
        return None
    return folded


def rules() -> Any:
    return flattening.rules_for(EmailMessage(), False, "8bit")


class Twin:
    """Fields as one of the codec's twins writes them.

    :param name: ``"compiled"`` or ``"pure"``
    :param words: other rules than this interpreter's
    """

    def __init__(self, name: str, words: int | None = None) -> None:
        self.name = name
        module = "_speedups" if name == "compiled" else "_codec.pure.serializer"
        self.serialize_message = importlib.import_module(f"aiosmtplib.{module}").serialize_message
        self.rules: Any = copy(rules())
        self.rules.words = flattening._words() if words is None else words
        self.rules.policy = self  # what is left to it, is left out

    def fold_binary(self, name: str, value: Any) -> bytes:
        return b""

    def __call__(self, header: Any) -> bytes | None:
        message: Any = EmailMessage()
        message._headers.append((header.name, header))
        written: bytes = self.serialize_message(message, self.rules, PLAIN)[0].removesuffix(b"\r\n")
        return written or None


def compare(
    headers: Iterator[Any], write: Callable[[Any], bytes | None]
) -> tuple[collections.Counter[str], list[str]]:
    """Counts of what the codec left out and of what it wrote, and the fields that it wrote otherwise."""
    counts: collections.Counter[str] = collections.Counter()
    wrong = []
    for header in headers:
        found = write(header)
        if found is None:
            counts["left out"] += 1
            continue
        counts["written"] += 1
        expected = by_library(header)
        if found != expected:
            wrong.append(f"{header.name}: {str(header)!r}\n  {found!r}\n  {expected!r}")
    return counts, wrong


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=3000, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    failed = 0
    words = {OTHER_WORDS: "unknown", OLDER_WORDS: "older", NEWER_WORDS: "newer"}[flattening._words()]
    print(f"Python {sys.version.split()[0]}, its rules are the {words} ones")
    for name in ("compiled", "pure") if find_spec("aiosmtplib._speedups") else ("pure",):
        for kind in DRAWN:
            counts, wrong = compare(drawn(kind, options.count, options.seed), Twin(name))
            print(f"{name}, {kind}: {dict(counts)}, {len(wrong)} wrong", *wrong[:3], sep="\n")
            failed += len(wrong)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
