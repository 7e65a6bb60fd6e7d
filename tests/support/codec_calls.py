"""Every function and class of a codec twin, with good and bad input: what searches for leaks run in a loop.

``python -m tests.support.codec_calls [ROUNDS]`` does so with the compiled twin, for valgrind and
LeakSanitizer.
"""

import importlib
import sys
from collections.abc import Callable, Generator
from email.message import Message
from types import ModuleType
from typing import Any, NamedTuple

from aiosmtplib._codec.constants import CHUNK, DATA, PLAIN
from aiosmtplib._codec.pure import serializer, session
from aiosmtplib._codec.types import CHUNKS, HANG_UP, LAST, MORE, NOT_COPIED, OVERLAPPING, STREAM
from aiosmtplib._message.flatten import rules_for
from aiosmtplib._session.transaction import transaction
from aiosmtplib.errors import SMTPException, SMTPServerDisconnected

from .sample_messages import FOLDED, GENERATED, OURS

__all__ = ("Case", "cases", "codec_twin", "session_twin")

LIMITS = (8192, 32768)
ALL = 1 << 30  # as if everything had been written


class Case(NamedTuple):
    """A call whose arguments belong to nobody else; whatever it raises is among what is wanted."""

    name: str
    call: Callable[..., Any]
    args: tuple[Any, ...]
    generated: bool = False  # whether the standard library's machinery for messages is at work in it

    def run(self) -> None:
        try:
            self.call(*self.args)
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, SMTPException):
            pass


def codec_twin(name: str) -> ModuleType:
    return importlib.import_module(f"aiosmtplib.{name}")


def session_twin(codec: ModuleType) -> Any:
    """Where the twin of these functions has its session."""
    return codec if hasattr(codec, "Session") else session


def cases(codec: ModuleType) -> list[Case]:
    session = session_twin(codec)
    return [*_functions(codec), *_encoders(codec), *_parsers(codec), *_messages(codec), *_sessions(session)]


def _fresh(data: bytes) -> bytes:
    return bytes(bytearray(data))  # what is no constant is counted


def _functions(codec: ModuleType) -> list[Case]:
    messages = [
        b"",
        b"a",
        b"a\r\nb\r\n",
        b".\n.\r..",
        b"x" * 70 + b"\n." * 20,
        b"y" * NOT_COPIED,
        b"\n" * 200,
    ]
    names = ("normalize_newlines", "encode_data", "encode_message")
    kinds = (_fresh, bytearray, lambda data: memoryview(bytearray(data)))
    found = [
        Case(f"{name}, {kind.__name__} of {len(message)}", getattr(codec, name), (kind(message),))  # type: ignore[operator]
        for name in names
        for kind in kinds
        for message in messages
    ]
    found += [Case(f"{name}, text", getattr(codec, name), ("".join(["te", "xt"]),)) for name in names]
    commands: list[tuple[Any, ...]] = [
        (),
        (_fresh(b"NOOP"),),
        (_fresh(b"MAIL"), _fresh(b"FROM:<a@b>")),
        (_fresh(b"a\r\nb"),),
        (_fresh(b"a"), "".join(["te", "xt"])),
    ]
    found += [Case(f"encode_command{args}", codec.encode_command, args) for args in commands]
    odd = type("Text", (str,), {})
    texts: list[Any] = ["".join(["a@", "b"]), "".join(["Name <", "a@b>"]), "".join(["x"] * 9), 7, odd("a@b")]
    texts += ["".join(["Jos", "é <a@b>"]), "<" + "a" * 300 + "@b.example>"]
    found += [Case(f"plain_address {text!r:.20}", codec.plain_address, (text,)) for text in texts]
    lists: list[Any] = [[], ["".join(["a@", "b"])] * 9, ("a@b", None), iter(()), 7, ["".join(["<a@", "b>"])]]
    tail = _fresh(b" NOTIFY=NEVER")
    found += [
        Case(f"encode_recipients {some!r:.20}", codec.encode_recipients, (some, tail)) for some in lists
    ]

    def prepare(sender: Any, recipients: Any) -> None:
        codec.plain_envelope(sender, recipients).prepare(_fresh(b"hi\r\n"), 4, True, False, False)

    found += [Case(f"plain_envelope {some!r:.20}", prepare, (texts[0], some)) for some in lists]
    found.append(Case("encode_recipients, a bad tail", codec.encode_recipients, (["a@b"], "tail")))
    return found


def _encoders(codec: ModuleType) -> list[Case]:
    def encode(chunks: list[Any], dots: bool) -> None:
        encoder = codec.DataEncoder(dots)
        for chunk in chunks:
            encoder.encode(chunk)
        encoder.finish()
        encoder.encode(b"too late")

    chunks = [_fresh(b"a\r"), _fresh(b"\n.b"), b"", bytearray(b"\r."), memoryview(b"x" * 100)]
    return [
        *(Case(f"DataEncoder, dots={dots}", encode, (chunks, dots)) for dots in (True, False)),
        Case("DataEncoder, text", encode, (["text"], True)),
        Case("DataEncoder, what is no flag", codec.DataEncoder, (_Contrary(),)),
    ]


class _Contrary:
    """Raises where it is asked for anything."""

    def __bool__(self) -> bool:
        raise ValueError("neither")

    __index__ = __len__ = __iter__ = __bool__  # type: ignore[assignment]


def _parsers(codec: ModuleType) -> list[Case]:
    def feed(stream: bytes, size: int, limits: tuple[Any, Any], kind: Any = bytes) -> None:
        parser = codec.ReplyParser()
        for i in range(0, len(stream), size):
            parser.feed(kind(stream[i : i + size]), *limits)
            assert parser.pending in (True, False)

    good = _fresh(b"250 ok\r\n250-a\r\n250-b\r\n250 c\xff\xc3\xa9\r\n354\n250-half")
    streams = [
        good,
        _fresh(b"rubbish\x00\r\n250 ok\r\n"),
        _fresh(b"250-a\r\n251 b\r\n"),
        _fresh(b"250 " * 40),
    ]
    found = [
        Case(f"ReplyParser, {stream[:9]!r} by {size}, {limits}", feed, (stream, size, limits))
        for stream in streams
        for size in (1, 5, 1000)
        for limits in (LIMITS, (12, 30))
    ]
    kinds = (bytearray, memoryview, lambda data: data.decode("latin-1"))
    found += [Case(f"ReplyParser, {kind}", feed, (good, 7, LIMITS, kind)) for kind in kinds]
    odd: list[Any] = ["9", None, 1 << 80, _Contrary()]
    found += [Case(f"ReplyParser, limit {limit!r}", feed, (good, 7, (limit, 99))) for limit in odd]
    return found


def _messages(codec: ModuleType) -> list[Case]:
    serialize = (codec if hasattr(codec, "serialize_message") else serializer).serialize_message
    made = [(make(), False) for make in OURS.values()]
    made += [(make(), True) for make in (*GENERATED.values(), *(make for make, _ in FOLDED.values()))]
    found = [
        Case(
            f"serialize_message {message!r:.30}, {form}",
            serialize,
            (message, rules, form),
            generated,
        )
        for message, generated in made
        for rules in (rules_for(message, False, "8bit"), rules_for(message, True, "7bit"))
        for form in (PLAIN, DATA, CHUNK)
    ]
    rules = rules_for(Message(), False, "8bit")
    found += [
        Case(f"serialize_message {odd!r}", serialize, (odd, rules)) for odd in (None, 7, "text", Message)
    ]
    found += [Case(f"serialize_message by {odd!r}", serialize, (Message(), odd)) for odd in (None, 7, "text")]
    texts: list[Any] = ["".join(["a@b, ", "Name <c@d.example>"]), "".join(["a@b", ",,"]), "", 7, None]
    found += [Case(f"plain_addresses {text!r:.20}", codec.plain_addresses, (text,)) for text in texts]
    fields = [("".join(["T", "o"]), object()), ("Cc", "x"), ("TO", None)]
    wrong: list[Any] = [[("To",)], [7], None, [(b"To", "x")], [("To", "x", "y")]]
    found += [
        Case(f"pick_fields {odd!r:.20}", codec.pick_fields, (odd, ("to", "cc"))) for odd in (fields, *wrong)
    ]
    return [
        *found,
        *(Case(f"pick_fields, {odd!r}", codec.pick_fields, (fields, odd)) for odd in (None, (7,), "to")),
    ]


def _asking(steps: list[Any], after: Any = None) -> Generator[Any, Any, Any]:
    """A dialogue of these steps; ``after`` is an error to raise at their end, or what it makes of a loss."""
    try:
        for step in steps:  # noqa: UP028 - a list takes no replies
            yield step
    except SMTPException:
        if after is None:
            raise
        return after
    if isinstance(after, type):
        raise after("at the end of the steps")
    return [after]


def _sessions(twin: Any) -> list[Case]:
    def converse(dialogues: list[tuple[list[Any], Any]], stream: bytes, size: int, written: int) -> None:
        session = twin.Session()
        exchanges = [twin.Exchange(_asking(*dialogue), 1.5, session) for dialogue in dialogues]
        for exchange in exchanges:
            session.start(exchange)
        for i in range(0, len(stream), size):
            if exchanges[-1].follows >= STREAM:
                session.push(exchanges[-1], (b"piece",), 1, last=True)
            session.receive(stream[i : i + size], *LIMITS, written)
        assert isinstance(session.interrupted, bool)
        assert session.last is None or session.last in session
        assert session.head is None or session.head in session
        session.greeting = session.unseen = None
        session.fail(SMTPServerDisconnected("gone"), written)

    def transact(mails: int, chunked: bool, codes: list[int], size: int) -> None:
        session, server = twin.Session(True), twin.ServerState()
        session.lost = None
        stream = b"".join(b"%d text\r\n" % code for code in codes) * mails
        content: Any = b"hi\r\n" if chunked else (b"large\r\n", b".\r\n")
        for _ in range(mails):
            if session.last is None or session.last.follows in OVERLAPPING:
                mail = twin.PreparedMail(
                    "a@b", ["c@d", "e@f"], b"MAIL\r\nRCPT\r\nRCPT\r\n", content, True, chunked
                )
                session.start(twin.Exchange(twin.start_transaction(mail, server, transaction)))
            for i in range(0, len(stream), size):
                session.receive(stream[i : i + size], *LIMITS, ALL)
        session.fail(SMTPServerDisconnected("gone"), ALL)

    def abandon(codes: list[int]) -> None:
        mail = twin.PreparedMail("a@b", ["c@d"], b"MAIL\r\nRCPT\r\n", b"hi\r\n.\r\n", True)
        dialogue = twin.start_transaction(mail, twin.ServerState(), transaction)
        if codes:
            dialogue.send(None)
            dialogue.send([(code, "text") for code in codes])
            dialogue.throw(SMTPServerDisconnected("gone"))
        dialogue.close()

    def misuse(call: str, *args: Any) -> None:
        session = twin.Session()
        session.write(b"a")
        getattr(session, call)(*args)

    ask, group = ([(b"A\r\n", 1, MORE)] * 3, None), ([(_fresh(b"one"), 2, LAST)], None)
    stories: list[tuple[str, list[tuple[list[Any], Any]]]] = [
        ("nobody asks", [group][:0] or [([], "nothing")]),
        ("one after the other", [ask]),
        ("pipelined", [group, group, group]),
        ("it makes something of a loss", [([(b"A\r\n", 9, LAST)], "the best of it")]),
        ("a refusal of its own", [([(b"A\r\n", 1, MORE)], SMTPException)]),
        ("a mistake of its own", [([(b"A\r\n", 1, MORE)], ValueError)]),
        ("pushed", [([(b"", 1, STREAM)], None)]),
        ("chunks", [([(b"", 0, CHUNKS)], None)]),
        ("hang up", [([HANG_UP], None)]),
        ("no step at all", [([None], None)]),
    ]
    streams = [
        _fresh(b"220 hi\r\n250 ok\r\n550 no\r\n354 go\r\n250 ok\r\n"),
        _fresh(b"250 a\r\n421 bye\r\n250 b\r\n"),
    ]
    streams += [_fresh(b"rubbish\r\n"), _fresh(b"250-half")]
    found = [
        Case(
            f"Session, {name}, {stream[:9]!r} by {size}, {written}", converse, (story, stream, size, written)
        )
        for name, story in stories
        for stream in streams
        for size, written in ((1, ALL), (1000, ALL), (1000, 1))
    ]
    endings = [
        [250, 250, 250, 354, 250],
        [250, 550, 250, 354, 250],
        [550] * 4,
        [250, 250, 250, 354, 421],
        [250],
    ]
    found += [
        Case(f"transactions, {codes}, chunked={chunked}, by {size}", transact, (3, chunked, codes, size))
        for codes in endings
        for chunked in (False, True)
        for size in (1, 1000)
    ]
    found += [
        Case(f"abandoned after {codes}", abandon, (codes,))
        for codes in ([], [250, 250, 354], [250, 550, 550])
    ]
    wrong: list[tuple[Any, ...]] = [
        ("start", None),
        ("start", "text"),
        ("push", None, b""),
        ("receive", "text", 1, 1, 1),
        ("receive", b"", "1", 1, 1),
        ("receive", b"", 1, 1, None),
        ("fail", None, 1),
        ("write", 7),
        ("write", [1]),
    ]
    return found + [Case(f"Session, wrong: {args}", misuse, args) for args in wrong]


if __name__ == "__main__":
    all_cases = cases(codec_twin("_speedups"))
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        for case in all_cases:
            case.run()
    print(f"{len(all_cases)} cases")
