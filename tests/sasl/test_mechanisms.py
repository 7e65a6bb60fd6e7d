"""The SASL mechanisms by themselves: the vectors of their RFCs, and challenges that nobody should answer."""

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._sasl import base, scram
from aiosmtplib._sasl.base import (
    MAX_CHALLENGE,
    InvalidChallengeError,
    Mechanism,
    MechanismUnavailable,
    UntrustedServerError,
)
from aiosmtplib._sasl.mechanisms import CramMD5, External, Login, OAuthBearer, Plain, XOAuth2
from aiosmtplib._sasl.scram import (
    MAX_ITERATIONS,
    ChannelBinding,
    Scram,
    ScramSHA1,
    ScramSHA256,
    ScramSHA256Plus,
)

from ..support.sasl_server import ScramServer, b64


def text(line: bytes) -> bytes:
    return base64.b64decode(bytes(line))


BINDING = ChannelBinding("tls-exporter", bytes(range(32)))

#: Class, nonce, and what client and server say in turn. RFC 5802 section 5, RFC 7677 section 3.
CONVERSATIONS: list[tuple[type[Scram], bytes, list[bytes]]] = [
    (
        ScramSHA1,
        b"fyko+d2lbbFgONRv9qkxdawL",
        [
            b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    ),
    (
        ScramSHA256,
        b"rOprNGfwEbeRWgbNEkqO",
        [
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    ),
]
SCRAM_1 = CONVERSATIONS[0]


@pytest.mark.parametrize(("kind", "nonce", "said"), CONVERSATIONS)
def test_scram_vectors(kind: type[Scram], nonce: bytes, said: list[bytes]) -> None:
    mechanism = kind("user", "pencil", nonce=nonce)
    assert bytes(mechanism.start()) == kind.name.encode() + b" " + b64(said[0])
    assert text(mechanism.respond(b64(said[1]))) == said[2]
    with pytest.raises(UntrustedServerError, match="did not prove"):
        mechanism.check_success()
    assert mechanism.respond(b64(said[3])) == b""
    mechanism.check_success()
    with pytest.raises(InvalidChallengeError):
        mechanism.respond(b64(said[3]))


def test_scram_names_are_those_of_the_registry() -> None:
    assert [kind.name for kind in (ScramSHA256Plus, ScramSHA256, ScramSHA1)] == [
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
    ]


@given(
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=20),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20),
    st.sampled_from([ScramSHA1, ScramSHA256, ScramSHA256Plus]),
    st.booleans(),
)
def test_scram_against_the_formulas(username: str, password: str, kind: type[Scram], announced: bool) -> None:
    mechanism = kind(username, password, binding=BINDING, announced=announced)
    server = ScramServer(password.encode(), kind.algorithm)
    first = text(mechanism.start().split(b" ")[1])
    expected = b"p=tls-exporter,," if kind.plus else b"n,," if announced else b"y,,"
    assert first.startswith(expected)
    name = first[len(expected) :].removeprefix(b"n=").rpartition(b",r=")[0]
    assert b"," not in name
    assert name.replace(b"=2C", b",").replace(b"=3D", b"=").decode() == username
    final = text(mechanism.respond(b64(server.first(first))))
    mechanism.respond(b64(server.final(final, BINDING.data if kind.plus else b"")))
    mechanism.check_success()


def test_scram_with_the_wrong_password() -> None:
    mechanism, server = ScramSHA256("u", "wrong"), ScramServer(b"right", "sha256")
    final = text(mechanism.respond(b64(server.first(text(mechanism.start().split(b" ")[1])))))
    # The refusal itself is the reply to an empty line.
    assert mechanism.respond(b64(server.final(final))) == b""
    assert mechanism.reason == "invalid-proof"
    with pytest.raises(InvalidChallengeError):
        mechanism.respond(b64(b"v=AAAA"))
    with pytest.raises(UntrustedServerError):
        mechanism.check_success()


def test_scram_chooses_a_new_nonce_each_time() -> None:
    nonces = {ScramSHA1("u", "p").initial().rpartition(b",r=")[2] for _ in range(10)}
    assert len(nonces) == 10
    assert all(len(nonce) == 24 and b"," not in nonce for nonce in nonces)


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"r=",
        b"r=ours,s=c2FsdA==,i=1",  # no nonce of its own
        b"r=their,s=c2FsdA==,i=1",
        b"r=theirours,s=c2FsdA==,i=1",
        b"r=our,s=c2FsdA==,i=1",
        b"r=ours more,s=c2FsdA==,i=1",
        b"r=oursmor\xc3\xa9,s=c2FsdA==,i=1",
        b"r=oursmore,s=,i=1",
        b"r=oursmore,s=c2FsdA,i=1",
        b"r=oursmore,s=!,i=1",
        b"r=oursmore,i=1,s=c2FsdA==",
        b"r=oursmore,s=c2FsdA==",
        b"r=oursmore,s=c2FsdA==,i=",
        b"r=oursmore,s=c2FsdA==,i=0",
        b"r=oursmore,s=c2FsdA==,i=-1",
        b"r=oursmore,s=c2FsdA==,i=01",
        b"r=oursmore,s=c2FsdA==,i=1x",
        b"r=oursmore,s=c2FsdA==,i=%d" % (MAX_ITERATIONS + 1),
        b"r=oursmore,s=c2FsdA==,i=" + b"9" * 5000,
        b"m=new,r=oursmore,s=c2FsdA==,i=1",
        b"m=,r=oursmore,s=c2FsdA==,i=1",
        b"v=AAAA",
    ],
)
def test_scram_first_challenge_that_is_none(challenge: bytes) -> None:
    mechanism = ScramSHA256("u", "p", nonce=b"ours")
    with pytest.raises(InvalidChallengeError, match=r"Invalid SCRAM-SHA-256 challenge") as caught:
        mechanism.respond(b64(challenge))
    assert not isinstance(caught.value, UntrustedServerError)
    assert len(str(caught.value)) < 600
    assert mechanism.reason is None


def test_scram_refused_at_once() -> None:
    mechanism = ScramSHA256("u", "p", nonce=b"ours")
    assert mechanism.respond(b64(b"e=unknown-user\xff" + b"x" * 1000 + b",x=y")) == b""
    assert mechanism.reason is not None and mechanism.reason.startswith("unknown-user\\xffxx")
    assert len(mechanism.reason) < 110
    with pytest.raises(UntrustedServerError):
        mechanism.check_success()


def test_scram_optional_extensions_are_ignored() -> None:
    mechanism = ScramSHA256("u", "p", nonce=b"ours")
    assert text(mechanism.respond(b64(b"r=oursmore,s=c2FsdA==,i=1,x=new,y="))).startswith(
        b"c=biws,r=oursmore,p="
    )


def test_scram_iterations_have_a_bound_of_the_callers_choice() -> None:
    challenge = b64(b"r=oursmore,s=c2FsdA==,i=11")
    assert ScramSHA256("u", "p", nonce=b"ours", max_iterations=11).respond(challenge)
    with pytest.raises(InvalidChallengeError, match="more than 10 iterations"):
        ScramSHA256("u", "p", nonce=b"ours", max_iterations=10).respond(challenge)


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"v=",
        b"v=!",
        b"v=A",
        b"v=AAAA",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKq=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKA=",
        b"x=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        b"m=new,v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ],
)
def test_scram_signature_that_is_not_the_servers(final: bytes) -> None:
    kind, nonce, said = SCRAM_1
    mechanism = kind("user", "pencil", nonce=nonce)
    mechanism.respond(b64(said[1]))
    with pytest.raises(UntrustedServerError, match="failed to prove"):
        mechanism.respond(b64(final))
    with pytest.raises(UntrustedServerError):
        mechanism.check_success()


def test_scram_signature_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    original = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or original(a, b))
    kind, nonce, said = SCRAM_1
    mechanism = kind("user", "pencil", nonce=nonce)
    mechanism.respond(b64(said[1]))
    mechanism.respond(b64(said[3]))
    assert [len(digest) for pair in compared for digest in pair] == [20, 20]


@pytest.mark.parametrize("kind", [ScramSHA1, ScramSHA256])
def test_scram_prepares_what_is_text(kind: type[Scram]) -> None:
    # RFC 4013 section 3: a soft hyphen is mapped to nothing, U+2168 to IX.
    prepared, plain = kind("I\u00adX", "\u2168", nonce=b"n"), kind("IX", "IX", nonce=b"n")
    challenge = b64(b"r=nn,s=c2FsdA==,i=1")
    assert prepared.initial() == plain.initial() == b"n,,n=IX,r=n"
    assert prepared.respond(challenge) == plain.respond(challenge)
    octets, other = kind(b"IX", "\u2168".encode(), nonce=b"n"), kind("IX", "IX", nonce=b"n")
    assert octets.respond(challenge) != other.respond(challenge)


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("", "p"),
        ("\u00ad", "p"),
        ("u\x07", "p"),
        ("u", "p\x07"),
        ("u", "\u0627" + "1"),
        ("u\0", "p"),
        ("u", b"\0"),
    ],
)
def test_scram_credentials_that_it_cannot_carry(username: str, password: str) -> None:
    with pytest.raises(ValueError, match="cannot"):
        ScramSHA256(username, password)


def test_unassigned_characters_only_in_names() -> None:
    # RFC 5802 section 5.1: the name is a query; section 2.2: the password is stored.
    assert "\N{GRINNING FACE}".encode() in ScramSHA1("\N{GRINNING FACE}", "p").initial()
    with pytest.raises(ValueError, match="password cannot be carried by SCRAM"):
        ScramSHA1("u", "\N{GRINNING FACE}")


def test_plus_without_a_binding() -> None:
    with pytest.raises(MechanismUnavailable, match="SCRAM-SHA-256-PLUS needs a TLS connection"):
        ScramSHA256Plus("u", "p")


# -- the others --------------------------------------------------------------------------------------


def test_oauthbearer_vector() -> None:
    # RFC 7628 section 4.1, and section 4.3 for the failure
    mechanism = OAuthBearer(
        "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "server.example.com", 143
    )
    assert bytes(mechanism.start()) == (
        b"OAUTHBEARER "
        b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxb"
        b"VRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )
    failure = b'{"status":"invalid_token","scope":"example_scope"}'
    assert mechanism.respond(b64(failure)) == b"AQ=="
    assert mechanism.reason == failure.decode()
    with pytest.raises(InvalidChallengeError):
        mechanism.respond(b64(failure))


def test_oauthbearer_without_a_host_and_with_a_name_to_escape() -> None:
    assert OAuthBearer("a=b,c", "t").initial() == b"n,a=a=3Db=2Cc,\x01auth=Bearer t\x01\x01"


def test_xoauth2_failure_is_answered_with_nothing() -> None:
    mechanism = XOAuth2("u", "t")
    assert mechanism.respond(b"\xff no base64") == b""
    assert mechanism.reason == "\\xff no base64"
    with pytest.raises(InvalidChallengeError):
        mechanism.respond(b"")


@pytest.mark.parametrize(
    ("identity", "line"), [("", b"EXTERNAL ="), ("u", b"EXTERNAL dQ=="), (b"u\xff", b"EXTERNAL df8=")]
)
def test_external(identity: str | bytes, line: bytes) -> None:
    # RFC 4422 appendix A, RFC 4954 section 4
    mechanism = External(identity)
    assert bytes(mechanism.start()) == line
    with pytest.raises(InvalidChallengeError):
        mechanism.respond("")


@pytest.mark.parametrize("challenge", [b"", b"go on", b64(b"x")])
def test_initial_response_that_is_held_back(challenge: bytes) -> None:
    # RFC 4954 section 4: the server's first challenge is empty.
    mechanism = Plain("u", "p")
    assert bytes(mechanism.start(alone=True)) == b"PLAIN"
    assert mechanism.respond(challenge) == b64(b"\0u\0p")
    with pytest.raises(InvalidChallengeError):
        mechanism.respond(challenge)
    crammd5 = CramMD5("u", "p")  # has none
    assert bytes(crammd5.start(alone=True)) == b"CRAM-MD5"
    with pytest.raises(InvalidChallengeError):
        crammd5.respond(b"no base64")
    external = External("")
    external.start(alone=True)
    assert external.respond(challenge) == b""


def test_crammd5_answers_once() -> None:
    mechanism = CramMD5("u", "p")
    assert bytes(mechanism.start()) == b"CRAM-MD5"
    assert mechanism.respond("eA==")
    with pytest.raises(InvalidChallengeError):
        mechanism.respond("eA==")


def test_plain_has_no_second_step() -> None:
    with pytest.raises(InvalidChallengeError):
        Plain("u", "p").respond("")


@pytest.mark.parametrize(
    "mechanism",
    [CramMD5("u", "p"), Login("u", "p"), XOAuth2("u", "t"), OAuthBearer("u", "t"), ScramSHA256("u", "p")],
    ids=lambda each: each.name,
)
def test_challenges_are_bounded(mechanism: Mechanism) -> None:
    with pytest.raises(InvalidChallengeError, match="longer than 12288") as caught:
        mechanism.respond("A" * (MAX_CHALLENGE + 4))
    assert len(str(caught.value)) < 600


# -- a Python whose OpenSSL forbids something --------------------------------------------------------


def test_no_md5(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: Any) -> None:
        raise ValueError("[digital envelope routines] unsupported")

    monkeypatch.setattr(hmac, "new", forbidden)
    with pytest.raises(MechanismUnavailable, match="HMAC with md5: .*unsupported") as caught:
        CramMD5("u", "p").respond("eA==")
    assert caught.value.__context__ is None


def test_no_key_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: Any) -> None:
        raise ValueError("invalid iteration count")

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", forbidden)
    mechanism = ScramSHA256("u", "p", nonce=b"n")
    with pytest.raises(MechanismUnavailable, match="key of SCRAM-SHA-256: invalid") as caught:
        mechanism.respond(b64(b"r=nn,s=c2FsdA==,i=1"))
    assert caught.value.__context__ is None


def test_no_mechanism_shows_what_it_holds() -> None:
    for kind in (Plain, Login, CramMD5, XOAuth2, OAuthBearer, ScramSHA1, ScramSHA256):
        mechanism = kind("u", "s3cr3t")
        assert "s3cr3t" not in repr(mechanism) + repr(vars(mechanism))
    assert base.MechanismUnavailable.__mro__[1] is ValueError
    assert scram.MAX_ITERATIONS == 1_000_000
