"""Messages for hypothesis: all that the public ``email`` API can build, and what its parsers make of rubble.

A message is drawn as a :class:`Recipe`, the calls that build it, so that the same one can be had as often
as it is needed and so that a failure prints how to get there. A call that the library refuses is left out.
The choices lean towards the places where a serialiser can go wrong: lengths around the limits of folding,
charsets, line ends, what only looks like an encoded word, and messages in a state that nobody should build.
"""

import email
import email.headerregistry
import email.policy
from collections.abc import Callable
from dataclasses import dataclass, field
from email.header import Header
from email.message import EmailMessage, Message, MIMEPart
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

from hypothesis import strategies as st

from . import bodies, values

__all__ = ("Call", "Recipe", "messages", "rubble")


@dataclass(frozen=True)
class Call:
    """A call that makes a value: each build of a message has its own."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        options = [f"{name}={value!r}" for name, value in self.options.items()]
        return f"{self.function.__name__}({', '.join([*map(repr, self.args), *options])})"

    def build(self) -> Any:
        return self.function(*map(_built, self.args), **{k: _built(v) for k, v in self.options.items()})


@dataclass(frozen=True)
class Recipe:
    """A message: where it starts, and the methods that are called on it (``=`` sets an attribute)."""

    start: Call
    steps: tuple[tuple[str, Call], ...] = ()

    def __repr__(self) -> str:
        calls = [f".{name}{repr(call).removeprefix(nothing.__name__)}" for name, call in self.steps]
        return f"<{self.start!r}{''.join(calls)}>"

    def build(self) -> Message:
        message: Message = self.start.build()
        for name, call in self.steps:
            try:
                arguments = [_built(one) for one in call.args]
                options = {key: _built(value) for key, value in call.options.items()}
                if name == "=":
                    setattr(message, *arguments)
                else:
                    getattr(message, name)(*arguments, **options)
            except Exception:
                # Refused, in whatever way; or a defect of the parsers of header fields, which have some.
                continue
        return message


def _built(thing: Any) -> Any:
    if isinstance(thing, (Call, Recipe)):
        return thing.build()
    return [_built(one) for one in thing] if type(thing) is list else thing


def nothing(*arguments: Any, **options: Any) -> None:
    """Stands in a step for the call, whose function is the method."""


def step(name: str, *arguments: Any, **options: Any) -> tuple[str, Call]:
    return name, Call(nothing, arguments, options)


class Subclass(EmailMessage):
    """Adds nothing."""


class LegacySubclass(Message):
    """Adds nothing."""


class ShowsMore(EmailMessage):
    """Has a field that is in no list."""

    def raw_items(self) -> Any:
        yield from super().raw_items()  # type: ignore[misc]
        yield "X-More", "more"


class SaysOtherwise(EmailMessage):
    """Is of a type of its own choice."""

    def get_content_type(self) -> str:
        return "text/plain"

    def get_content_maintype(self) -> str:
        return "text"


class PayloadOfItsOwn(Message):
    """Makes its payload when it is asked."""

    def get_payload(self, i: Any = None, decode: bool = False) -> Any:
        return "made\nwhen asked\n"


class SingleMultipart(EmailMessage):
    """Denies that it has parts."""

    def is_multipart(self) -> bool:
        return False


class AlwaysBoundary(Message):
    """Has a boundary that is in no field."""

    def get_boundary(self, failobj: Any = None) -> Any:
        return "always"


POLICIES = (
    email.policy.default,
    email.policy.default,
    email.policy.SMTP,
    email.policy.SMTPUTF8,
    email.policy.HTTP,
    email.policy.compat32,
    email.policy.default.clone(max_line_length=40),
    email.policy.default.clone(max_line_length=None),
    email.policy.default.clone(max_line_length=998, refold_source="all"),
    email.policy.SMTP.clone(refold_source="none", cte_type="7bit"),
    email.policy.default.clone(mangle_from_=True),
    email.policy.default.clone(message_factory=Subclass),
    email.policy.EmailPolicy(header_factory=email.headerregistry.HeaderRegistry(use_default_map=False)),
    email.policy.compat32.clone(mangle_from_=False, max_line_length=30),
)
policies = st.sampled_from(POLICIES)
_ctes = st.sampled_from(["7bit", "8bit", "quoted-printable", "base64"])

MODERN = (
    EmailMessage,
    EmailMessage,
    EmailMessage,
    MIMEPart,
    Subclass,
    ShowsMore,
    SaysOtherwise,
    SingleMultipart,
)
LEGACY = (Message, Message, Message, LegacySubclass, PayloadOfItsOwn, AlwaysBoundary)


def starts(classes: tuple[Any, ...]) -> st.SearchStrategy[Call]:
    return st.builds(
        lambda kind, policy: Call(kind, (), {"policy": policy}), st.sampled_from(classes), policies
    )


def with_options(function: Any, *arguments: Any, **strategies: Any) -> st.SearchStrategy[Any]:
    """A call of this function with arguments drawn."""
    drawn = st.tuples(*(one if isinstance(one, st.SearchStrategy) else st.just(one) for one in arguments))
    options = st.fixed_dictionaries({}, optional=strategies)
    return st.builds(lambda args, more: Call(function, args, more), drawn, options)


def steps(name: str, *arguments: Any, **strategies: Any) -> st.SearchStrategy[Any]:
    """A step with arguments drawn."""
    return with_options(nothing, *arguments, **strategies).map(lambda call: (name, call))


def legacy_headers() -> st.SearchStrategy[Call]:
    """Header objects, with chunks in several charsets."""

    def header(chunks: list[tuple[str, str | None]], options: dict[str, Any]) -> Header:
        made = Header(**options)
        for text, charset in chunks:
            made.append(text, charset)
        return made

    chunk = st.tuples(
        values.texts, st.sampled_from([None, "utf-8", "iso-8859-1", "us-ascii", "koi8-r", "iso-2022-jp"])
    )
    options = st.fixed_dictionaries(
        {},
        optional={
            "maxlinelen": st.sampled_from([20, 76, 78, 998]),
            "header_name": st.sampled_from(["Subject", "X"]),
            "continuation_ws": st.sampled_from([" ", "\t"]),
        },
    )
    return st.builds(lambda chunks, more: Call(header, (chunks, more)), st.lists(chunk, max_size=3), options)


def taken(recipe: Recipe, name: str) -> Any:
    """A header object of another message."""
    return recipe.build()[name]


usual_fields = values.fields.map(lambda pair: step("__setitem__", *pair))


def odd_fields(parts: st.SearchStrategy[Recipe]) -> st.SearchStrategy[Any]:
    """Header fields in other ways, or with other values, than people have them."""
    parameters = {"filename": values.parameters, "charset": values.parameters, "x_y": values.parameters}
    from_another = with_options(taken, parts, st.sampled_from(["Subject", "From", "To", "Content-Type"]))
    others = st.sampled_from([7, None, b"bytes", ("a", "b"), values.Shouting("loud")])
    return st.one_of(
        values.fields.map(lambda pair: step("set_raw", *pair)),
        values.broken_fields.map(lambda pair: step("__setitem__", *pair)),
        values.broken_fields.map(lambda pair: step("set_raw", *pair)),
        steps("__setitem__", values.names, legacy_headers()),
        steps("__setitem__", values.names, from_another),
        steps("__setitem__", values.names, others),
        steps("add_header", values.names, values.texts, **parameters),
        steps("set_param", st.sampled_from(["charset", "boundary", "name"]), values.texts),
        steps("replace_header", values.names, values.texts),
        steps("__delitem__", values.names),
    )


def usual_content(parts: st.SearchStrategy[Recipe]) -> st.SearchStrategy[Any]:
    """A body, or parts, as people put them in."""
    text = st.one_of(bodies.encodable, bodies.ascii_only)
    file_options = {
        "filename": st.sampled_from(["a.pdf", "é.pdf", "x" * 80]) | values.texts,
        "disposition": st.sampled_from(["attachment", "inline"]),
    }
    file = (st.binary(max_size=200), "application", st.sampled_from(["pdf", "x"]))
    return st.one_of(
        steps("set_content", text, subtype=st.sampled_from(["plain", "html"]), cte=_ctes),
        steps("set_content", bodies.latin, charset=st.just("iso-8859-1")),
        steps("set_content", *file, cte=_ctes),
        steps("set_payload", bodies.ascii_only),
        steps("set_payload", text, charset=st.just("utf-8")),
        steps("add_alternative", text, subtype=st.just("html")),
        steps("add_attachment", *file, **file_options),
        steps("add_related", *file, cid=st.just("<a@b>")),
        steps("add_attachment", parts),
        steps("attach", parts),
        steps("make_mixed"),
        steps("set_boundary", values.boundaries),
        steps("=", st.sampled_from(["preamble", "epilogue"]), text),
    )


def odd_content(parts: st.SearchStrategy[Recipe]) -> st.SearchStrategy[Any]:
    """What can be put into a message, too."""
    options = {
        "charset": st.sampled_from(["utf-8", "us-ascii", "iso-8859-1", "utf-16", "euc-jp", "no-such"]),
        "cte": _ctes | st.sampled_from(["binary", "no-such"]),
        "subtype": st.sampled_from(["plain", "calendar"]),
        "disposition": st.sampled_from(["attachment", None]),
        "filename": values.texts,
        "cid": st.sampled_from(["<a@b>", "é"]),
    }
    charsets = st.sampled_from(["utf-8", "us-ascii", "iso-8859-1", "shift_jis"])
    octets = bodies.bodies.map(lambda text: text.encode("utf-8", "replace"))
    types = (st.sampled_from(["application", "text", "multipart"]), st.sampled_from(["plain", "mixed"]))
    return st.one_of(
        *(steps(name, bodies.bodies, **options) for name in ("set_content", "add_alternative")),
        steps("set_content", octets, *types, cte=_ctes),
        *(steps(name, parts) for name in ("set_content", "add_alternative", "add_related")),
        steps("set_payload", bodies.bodies, charset=charsets),
        steps("set_payload", st.binary(max_size=50)),
        steps("set_payload", st.sampled_from([None, 7, [], "", [None], ["text"]])),
        steps("set_payload", st.lists(parts, max_size=2)),
        steps("set_payload", parts),
        steps("attach", bodies.bodies),
        *(steps(name) for name in ("make_alternative", "make_related", "clear_content")),
        steps("make_mixed", boundary=values.boundaries),
        steps("set_type", values.types),
        steps("set_default_type", values.types),
        steps("set_charset", st.sampled_from(["utf-8", "iso-8859-1", "us-ascii", None])),
        steps("set_unixfrom", st.sampled_from(["From me", "x"])),
        steps("=", st.sampled_from(["preamble", "epilogue"]), bodies.bodies | st.sampled_from([None, ""])),
    )


def legacy_starts(parts: st.SearchStrategy[Recipe]) -> st.SearchStrategy[Call]:
    """What the classes of email.mime make."""
    subparts = st.lists(parts, max_size=2)
    octets = st.binary(max_size=120)
    return st.one_of(
        with_options(
            MIMEText, bodies.encodable, st.sampled_from(["plain", "html"]), st.sampled_from(["utf-8", None])
        ),
        with_options(MIMEText, bodies.latin, "plain", "iso-8859-1"),
        with_options(MIMEText, bodies.latin, "plain", "utf-8", policy=policies),
        with_options(MIMEApplication, octets, "pdf", policy=policies),
        with_options(
            MIMEMultipart,
            st.sampled_from(["mixed", "alternative", "signed"]),
            values.boundaries | st.none(),
            subparts,
        ),
        with_options(MIMEMessage, parts),
        with_options(
            MIMEBase,
            st.sampled_from(["text", "multipart", "message"]),
            st.sampled_from(["plain", "mixed", "delivery-status", "signed", "rfc822", "partial"]),
        ),
    )


def parsed(raw: st.SearchStrategy[bytes]) -> st.SearchStrategy[Call]:
    """What the parsers make of octets."""

    def from_text(octets: bytes, policy: Any) -> Message:
        return email.message_from_string(octets.decode("utf-8", "surrogateescape"), policy=policy)

    def from_latin(octets: bytes, policy: Any) -> Message:
        return email.message_from_string(octets.decode("latin-1"), policy=policy)

    def from_bytes(octets: bytes, policy: Any) -> Message:
        return email.message_from_bytes(octets, policy=policy)

    doors = st.sampled_from([from_bytes, from_bytes, from_bytes, from_text, from_latin])
    return st.builds(lambda door, octets, policy: Call(door, (octets, policy)), doors, raw, policies)


def _recipe(start: Call, *lists: list[tuple[str, Call]]) -> Recipe:
    return Recipe(start, tuple(one for some in lists for one in some))


def _usual(parts: st.SearchStrategy[Recipe]) -> st.SearchStrategy[Recipe]:
    """Messages with hardly more than one thing that is odd about them."""
    start = st.one_of(starts((EmailMessage,)), starts((EmailMessage, Message)), legacy_starts(parts))
    odd = st.one_of(odd_fields(parts), odd_content(parts), usual_fields)
    return st.builds(
        _recipe,
        start,
        st.lists(usual_fields, max_size=4),
        st.lists(usual_content(parts), min_size=1, max_size=4),
        st.just([]) | st.lists(odd, max_size=1),
    )


def _odd(parts: st.SearchStrategy[Recipe]) -> st.SearchStrategy[Recipe]:
    start = st.one_of(starts(MODERN), starts(LEGACY), legacy_starts(parts), parsed(bodies.small_sources))
    fields = st.lists(odd_fields(parts) | usual_fields, max_size=3)
    content = odd_content(parts) | usual_content(parts)
    return st.builds(_recipe, start, fields, st.lists(content, min_size=1, max_size=3), fields)


_leaves = st.builds(
    lambda made, pairs, body: Recipe(made, (*(step("__setitem__", *pair) for pair in pairs), body)),
    starts((EmailMessage, MIMEPart, Message)),
    st.lists(values.fields, max_size=2),
    steps("set_content", bodies.encodable) | steps("set_payload", bodies.ascii_only),
)

_parts = st.one_of(_leaves, _usual(_leaves), _odd(_leaves), parsed(bodies.small_sources).map(Recipe))
#: Messages built, with parts of all kinds in them.
messages = st.one_of(_usual(_parts), _usual(_parts), _odd(_parts))
#: Messages parsed from the sources mangled, some of them changed afterwards.
rubble = st.builds(
    _recipe,
    parsed(bodies.mangled()),
    st.just([]) | st.lists(usual_fields | odd_fields(_leaves) | odd_content(_leaves), max_size=2),
)
