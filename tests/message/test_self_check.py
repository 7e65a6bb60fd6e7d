"""The check before the first message: whether the standard library is the one that the codec knows.

Functions of the library are changed a line, a condition and a constant at a time. The check has to notice, or
everything that is written has to be what the changed library writes.
"""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from email import _encoded_words, _policybase, generator, header, headerregistry, message, policy
from email import _header_value_parser as parser
from email.message import EmailMessage, Message
from typing import Any

import pytest

from aiosmtplib._codec.constants import NEWER_WORDS, OTHER_WORDS, PLAIN
from aiosmtplib._message import flatten as flattening
from aiosmtplib._message import samples

from .. import corpus
from ..support.mutants import Mutant, mutants
from ..support.sample_messages import ENCODED, FOLDED, OURS
from ..support.serializing import Tally, by_generator, flatten_counted

GENERATOR = "flatten clone write _write_lines _write _dispatch _write_headers _handle_text _handle_multipart"
GENERATOR += " _handle_multipart_signed _handle_message_delivery_status _handle_message _make_boundary"
MESSAGE = "get_boundary set_boundary get_content_type get_content_maintype get_content_subtype get_param get"
MESSAGE += " get_payload raw_items is_multipart _get_params_preserve __getitem__ replace_header get_params"
FORMATTER = "__init__ _str newline add_transition feed _append_chunk _ascii_split"
RELIED_UPON: list[tuple[Any, str]] = [
    (generator.Generator, GENERATOR),
    (generator.BytesGenerator, "write _new_buffer _encode _write_headers _handle_text _compile_re"),
    (policy.EmailPolicy, "fold_binary _fold"),
    (_policybase.Compat32, "fold_binary _fold"),
    (headerregistry.BaseHeader, "fold"),
    (parser, "_refold_parse_tree _refold_with_ew _refold_without_ew"),
    (parser, "_steal_trailing_WSP_if_exists _fold_mime_parameters _fold_as_ew"),
    (parser.TokenList, "__str__ fold startswith_fws as_ew_allowed all_defects"),
    (parser.WhiteSpaceTerminal, "startswith_fws"),
    (parser.Terminal, "startswith_fws"),
    (header.Header, "__init__ append encode _normalize"),
    (header._ValueFormatter, FORMATTER),  # type: ignore[attr-defined]
    (header._Accumulator, "__init__ push pop_from _str is_onlyws part_count"),  # type: ignore[attr-defined]
    (message.Message, MESSAGE),
]
#: What encoded words are folded by.
OF_WORDS: list[tuple[Any, str]] = [
    (parser, "_refold_parse_tree _refold_with_ew _refold_without_ew _steal_trailing_WSP_if_exists"),
    (parser, "_fold_mime_parameters _fold_as_ew get_unstructured get_encoded_word"),
    (_encoded_words, "encode encode_q len_q encode_b len_b decode decode_q decode_b"),
    (parser.MimeParameters, "params"),
]
BUILDERS: dict[str, Callable[[], Message]] = {**OURS, **{name: FOLDED[name][0] for name in FOLDED}}


def functions_of(relied_upon: list[tuple[Any, str]]) -> list[Any]:
    return [
        pytest.param(owner, name, id=f"{owner.__name__}.{name}")
        for owner, names in relied_upon
        for name in names.split()
        # On some Pythons it is not there, or no function.
        if name in vars(owner) and not isinstance(vars(owner)[name], bool)
    ]


FUNCTIONS = functions_of(RELIED_UPON)
#: Some of them, of all kinds.
FEW = (
    "plain,old,old mangled,eight bits,words,addresses,parameters,generated boundary that folds,edges,signed,"
)
FEW += "forwarded,status,source,long source,source of parts,old source,old with generated boundary,utf-8"
needs_known_words = pytest.mark.skipif(not flattening._words(), reason="no rules that the codec knows")


def unlike(one: Message, utf8: bool) -> bool:
    """Whether a message is not written as the standard library writes it."""
    outcomes: list[Any] = []
    for write in (flattening.flatten, by_generator):
        random.seed(1)
        try:
            outcomes.append(write(one, utf8, "8bit"))
        except Exception as error:
            outcomes.append(type(error))
    return bool(outcomes[0] != outcomes[1])


@pytest.fixture(autouse=True)
def unchecked() -> Iterator[None]:
    """As in a process that has written no message yet."""
    forget()
    yield
    forget()
    check()


def forget() -> None:
    flattening._is_known.cache_clear()
    flattening._folds.cache_clear()
    flattening._words.cache_clear()
    for rules in flattening._RULES.values():
        for one in (rules, rules.signed):
            vars(one).pop("folds", None)
            vars(one).pop("words", None)
            vars(one).pop("generating", None)


def check() -> None:
    """Samples have boundaries, which are drawn: not between those of a message that a test compares."""
    flattening._is_known(True)
    flattening._folds()


def unnoticed(changes: Iterable[Mutant], builders: dict[str, Callable[[], Message]]) -> Iterator[str]:
    """The mutants that pass the check and write messages otherwise, with the names of these."""
    built = {name: build() for name, build in builders.items()}
    for mutant in changes:
        forget()
        with mutant.applied():
            check()
            wrong = [name for name, one in built.items() if unlike(one, False) or unlike(one, True)]
        if wrong:
            yield f"{mutant}: {wrong}"


@pytest.mark.parametrize(("owner", "name"), FUNCTIONS)
def test_a_changed_library_is_noticed(owner: Any, name: str) -> None:
    few = {name: build for name, build in BUILDERS.items() if name in FEW.split(",")}
    lines = [one for one in mutants(owner, name) if "left out" in one.what]
    assert list(unnoticed(lines, few)) == []


def unnoticed_in_words(changes: Iterable[Mutant]) -> Iterator[str]:
    """The mutants with which encoded words are still thought to be folded as by this Python, and are not."""
    built = {name: make() for name, (make, _) in ENCODED.items()}
    known = flattening._words()
    for mutant in changes:
        forget()
        with mutant.applied():
            if flattening._words() == known:
                wrong = [name for name, one in built.items() if unlike(one, False)]
                if wrong:
                    yield f"{mutant}: {wrong}"


@needs_known_words
def test_a_changed_encoding_is_noticed() -> None:
    assert list(unnoticed_in_words(mutants(_encoded_words, "len_b"))) == []


@pytest.mark.slow
@needs_known_words
@pytest.mark.parametrize(("owner", "name"), functions_of(OF_WORDS))
def test_changed_words_are_noticed(owner: Any, name: str) -> None:
    assert list(unnoticed_in_words(mutants(owner, name))) == []


@needs_known_words
def test_words_are_checked_when_there_have_been_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flattening, "_left_unchecked", itertools.count())
    asked: list[Any] = []
    monkeypatch.setattr(flattening, "_words", lambda: asked.append(1) or NEWER_WORDS)
    rules = flattening.rules_for(EmailMessage(), False, "8bit")
    assert [rules.words for _ in range(flattening._UNCHECKED)] == [OTHER_WORDS] * flattening._UNCHECKED
    assert not asked
    assert [rules.words, rules.words] == [NEWER_WORDS] * 2
    assert len(asked) == 1
    with pytest.raises(AttributeError):
        rules.other  # noqa: B018 # no such rule


@pytest.mark.slow
@pytest.mark.parametrize(("owner", "name"), FUNCTIONS)
def test_all_messages(owner: Any, name: str) -> None:
    every = {**BUILDERS, **dict(corpus.realistic())}
    assert list(unnoticed(mutants(owner, name), every)) == []


def test_the_check_is_passed() -> None:
    assert flattening._is_known(True)
    assert flattening._is_known(False)
    assert flattening._folds()
    assert all(rules.folds and rules.signed.folds for rules in flattening._RULES.values())


def test_nothing_is_checked_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(flattening, "_agrees", asked.append)
    flattening.flatten(OURS["nothing old"](), False, "8bit")
    assert asked == [samples.old_style]
    flattening.flatten(OURS["plain"](), False, "8bit")
    flattening.flatten(OURS["plain"](), True, "7bit")
    assert asked == [samples.old_style, samples.modern]


def test_folding_is_checked_before_the_first_long_field(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def agrees(sample: Any) -> bool:
        asked.append(sample)
        return sample is not samples.folded

    monkeypatch.setattr(flattening, "_agrees", agrees)
    flattening.flatten(OURS["plain"](), False, "8bit")
    assert asked == [samples.modern]
    assert not unlike(OURS["words"](), False)
    assert not unlike(OURS["long source"](), False)
    assert asked == [samples.modern, samples.folded]


def test_a_library_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise KeyError

    monkeypatch.setattr(flattening, "generate", fail)
    for sample in (samples.modern, samples.old_style, samples.folded):
        assert not flattening._agrees(sample)


def test_what_the_codec_writes_alone() -> None:
    """What is left to the library tells nothing of it."""
    for build in (samples.modern, samples.old_style, samples.folded, samples.encoded):
        one = build()
        if build is samples.encoded:
            tally = Tally()
            flatten_counted(one, False, "8bit", tally)
            assert (tally.generated, tally.folded) == (0, 0 if flattening._words() else len(samples._ENCODED))
        assert flattening.serialize(one, flattening.rules_for(one, True, "8bit"), PLAIN) is not None
