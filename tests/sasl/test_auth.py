"""SASL: the vectors of the RFCs, what no mechanism can carry, and that secrets stay out of errors."""

import base64
import hmac
import pickle
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib import auth
from aiosmtplib._sasl.mechanisms import CramMD5, Login, OAuthBearer, Plain, XOAuth2
from aiosmtplib.auth import auth_crammd5_verify, auth_login_encode, auth_plain_encode, auth_xoauth2_encode
from aiosmtplib.errors import SMTPAuthenticationError

SECRET = "s3cr3t"
CHALLENGE = base64.b64encode(b"<1896.697170952@postoffice.reston.mci.net>")

credentials = st.text(st.characters(exclude_categories=["Cs"]))


def test_plain_vector() -> None:
    # RFC 4616 section 4
    assert base64.b64decode(auth_plain_encode("tim", "tanstaaftanstaaf")) == b"\0tim\0tanstaaftanstaaf"
    assert auth_plain_encode("u", "p") == b"AHUAcA=="


def test_login_vector() -> None:
    assert auth_login_encode("u", "p") == (b"dQ==", b"cA==")
    assert auth_login_encode("", "") == (b"", b"")


def test_crammd5_vector() -> None:
    # RFC 2195 section 2
    answer = auth_crammd5_verify("tim", "tanstaaftanstaaf", CHALLENGE)
    assert base64.b64decode(answer) == b"tim b913a602c7eda7a495b4e6e7334d3890"


def test_xoauth2_vector() -> None:
    # The example that Google gives for Gmail.
    assert auth_xoauth2_encode("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg") == (
        b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRH"
        b"RXVZMjl0Q2cBAQ=="
    )


def test_not_ascii_is_utf8() -> None:
    assert base64.b64decode(auth_plain_encode("é", "ü")) == "\0é\0ü".encode()
    assert auth_login_encode("é", "ü") == (b"w6k=", b"w7w=")
    assert base64.b64decode(auth_xoauth2_encode("é", "ü")) == "user=é\x01auth=Bearer ü\x01\x01".encode()
    assert base64.b64decode(auth_crammd5_verify("é", "ü", CHALLENGE)).startswith("é ".encode())


@given(credentials, credentials)
def test_str_is_its_utf8(username: str, password: str) -> None:
    octets = username.encode(), password.encode()
    assert auth_plain_encode(username, password) == auth_plain_encode(*octets)
    assert auth_login_encode(username, password) == auth_login_encode(*octets)
    assert auth_crammd5_verify(username, password, CHALLENGE) == auth_crammd5_verify(*octets, CHALLENGE)
    assert tuple(base64.b64decode(part) for part in auth_login_encode(username, password)) == octets


@given(st.binary(), st.binary(max_size=100))
def test_crammd5_signs_the_challenge(challenge: bytes, key: bytes) -> None:
    for given_as in (base64.b64encode(challenge), base64.b64encode(challenge).decode()):
        answer = base64.b64decode(auth_crammd5_verify("u", key, given_as))
        assert answer == b"u " + hmac.new(key, challenge, "md5").hexdigest().encode()


def test_long_credentials_are_one_line() -> None:
    assert b"\n" not in auth_plain_encode("u" * 5000, "p" * 5000)
    assert b"\n" not in auth_xoauth2_encode("u" * 5000, "p" * 5000)


@pytest.mark.parametrize(
    "challenge", ["abc", "!!!!", "YQ=", "Y===", "é", "=", "YQ==YQ==", "YW Jj", b"\xff\xff\xff\xff", "\ud800"]
)
def test_challenge_that_is_not_base64(challenge: str | bytes) -> None:
    with pytest.raises(ValueError, match="Invalid CRAM-MD5 challenge from server") as caught:
        auth_crammd5_verify("u", SECRET, challenge)
    error = caught.value
    assert isinstance(error, SMTPAuthenticationError)
    assert error.code == 334
    assert error.message.isascii()
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args) == (type(error), error.args)


def test_challenge_is_echoed_in_part() -> None:
    with pytest.raises(ValueError) as caught:
        auth_crammd5_verify("u", "p", "\r\n\x1b?" * 10_000)
    assert len(str(caught.value)) < 600
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("challenge", [b" PDEyMzRAeD4=", b"PDEyMzRAeD4=\r\n", "\tPDEyMzRAeD4= "])
def test_white_space_around_the_challenge(challenge: str | bytes) -> None:
    assert auth_crammd5_verify("u", "p", challenge) == auth_crammd5_verify("u", "p", b"PDEyMzRAeD4=")


def crammd5(username: str | bytes, password: str | bytes) -> object:
    return auth_crammd5_verify(username, password, CHALLENGE)


MECHANISMS: list[Callable[[str | bytes, str | bytes], object]] = [
    auth_plain_encode,
    auth_login_encode,
    auth_xoauth2_encode,
    crammd5,
]


def assert_keeps_the_secret(error: BaseException) -> None:
    assert SECRET not in "".join(traceback.format_exception(error))
    # Tools that print what a traceback hides follow these.
    assert error.__cause__ is None
    assert error.__context__ is None


@given(st.binary(), st.binary(max_size=100))
def test_octets_are_encoded_as_they_are(username: bytes, password: bytes) -> None:
    # NUL and controls included: what a mechanism cannot carry is for the login to refuse.
    assert base64.b64decode(auth_plain_encode(username, password)) == b"\0%b\0%b" % (username, password)
    assert [*map(base64.b64decode, auth_login_encode(username, password))] == [username, password]
    xoauth2 = b"user=%b\x01auth=Bearer %b\x01\x01" % (username, password)
    assert base64.b64decode(auth_xoauth2_encode(username, password)) == xoauth2
    digest = hmac.new(password, base64.b64decode(CHALLENGE), "md5").hexdigest().encode()
    assert base64.b64decode(auth_crammd5_verify(username, password, CHALLENGE)) == username + b" " + digest


@pytest.mark.parametrize("mechanism", [Plain, Login, CramMD5, XOAuth2, OAuthBearer])
@pytest.mark.parametrize("bad", [f"{SECRET}\0", f"\0{SECRET}", f"{SECRET}\0".encode()])
def test_no_mechanism_carries_a_nul(mechanism: Callable[..., object], bad: str | bytes) -> None:
    for arguments in ((bad, "p"), ("u", bad)):
        with pytest.raises(ValueError, match="must not hold") as caught:
            mechanism(*arguments)
        assert_keeps_the_secret(caught.value)


@pytest.mark.parametrize("mechanism", [XOAuth2, OAuthBearer])
@pytest.mark.parametrize("control", [*map(chr, range(0x20)), "\x7f"])
def test_control_character_in_a_token(mechanism: Callable[..., object], control: str) -> None:
    for arguments in ((f"u{control}", "t"), ("u", f"{SECRET}{control}auth=x")):
        with pytest.raises(ValueError, match="must not hold a control character") as caught:
            mechanism(*arguments)
        assert_keeps_the_secret(caught.value)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_lone_surrogate(mechanism: Callable[..., object]) -> None:
    for arguments in ((f"{SECRET}\udcff", "p"), ("u", f"{SECRET}\ud800")):
        with pytest.raises(ValueError, match="lone surrogate") as caught:
            mechanism(*arguments)
        assert_keeps_the_secret(caught.value)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("bad", [None, 7, ["s3cr3t"], bytearray(b"s3cr3t")])
def test_wrong_type(mechanism: Callable[..., object], bad: object) -> None:
    for arguments in ((bad, "p"), ("u", bad)):
        with pytest.raises(TypeError, match="must be str or bytes") as caught:
            mechanism(*arguments)
        assert_keeps_the_secret(caught.value)


def test_exports() -> None:
    assert all(hasattr(auth, name) for name in auth.__all__)
