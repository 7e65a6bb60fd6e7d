"""Enhanced status codes (RFC 2034, RFC 3463): what counts as one, and who has it."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aiosmtplib
from aiosmtplib import EnhancedCode, SMTPResponse, errors

from ..support.clients import MESSAGE, RECIPIENTS, SENDER, session
from ..support.scripted_server import Peer


@pytest.mark.parametrize(
    ("code", "message", "enhanced"),
    [
        (250, "2.1.5 Ok", (2, 1, 5)),
        (250, "2.0.0", (2, 0, 0)),
        (550, "5.1.1 No such user", (5, 1, 1)),
        (550, "5.1.1  two blanks", (5, 1, 1)),
        (550, "5.1.1\ttab", (5, 1, 1)),
        (452, "4.123.999 x", (4, 123, 999)),
        (550, "5.1.1 No such user\n5.1.1 ask them", (5, 1, 1)),
        (550, "5.1.1\n5.7.1 the first line counts", (5, 1, 1)),
        (550, "not here\n5.1.1 on the last line alone", None),
        # The class has to be that of the reply code (RFC 2034 section 4).
        (450, "5.1.1 x", None),
        (550, "4.1.1 x", None),
        (354, "3.0.0 x", None),
        (354, "2.0.0 x", None),
        (-1, "5.1.1 x", None),
        (550, "5.1.1: colon", None),
        (550, "5.1.1.1 x", None),
        (550, "5.1 x", None),
        (550, "5.1234.1 x", None),
        (550, "5.1.1234 x", None),
        (550, "5..1 x", None),
        # No leading zeros (RFC 3463 section 2).
        (550, "5.01.1 x", None),
        (550, "5.1.00 x", None),
        (550, "5.1.٣ x", None),
        (550, " 5.1.1 x", None),
        (550, "x 5.1.1", None),
        (550, "", None),
    ],
)
def test_enhanced_code(code: int, message: str, enhanced: tuple[int, int, int] | None) -> None:
    response = SMTPResponse(code, message)
    assert response.enhanced_code == enhanced
    assert errors.SMTPResponseException(code, message).enhanced_code == enhanced
    # It is no part of the tuple.
    assert response == (code, message) and list(response) == [code, message]
    assert repr(response) == f"SMTPResponse(code={code}, message={message!r})"


def test_it_reads_like_one() -> None:
    code = SMTPResponse(550, "5.7.30 REQUIRETLS support required").enhanced_code
    assert code is not None
    assert str(code) == "5.7.30"
    assert (code.class_, code.subject, code.detail) == (5, 7, 30)
    assert pickle.loads(pickle.dumps(code)) == code


@given(st.integers(-1, 999), st.text(alphabet="0123456789. \n\tx٣", max_size=12))
def test_whatever_comes_is_no_error(code: int, message: str) -> None:
    enhanced = SMTPResponse(code, message).enhanced_code
    if enhanced is not None:
        assert message.startswith(str(enhanced)) and code // 100 == enhanced.class_


@given(st.sampled_from([2, 4, 5]), st.integers(0, 999), st.integers(0, 999), st.text(max_size=5))
def test_what_is_one_is_found(class_: int, subject: int, detail: int, text: str) -> None:
    code = EnhancedCode(class_, subject, detail)
    assert SMTPResponse(class_ * 100 + 50, f"{code} {text}").enhanced_code == code


@pytest.mark.parametrize(
    ("position", "error"),
    [
        ("MAIL", aiosmtplib.SMTPSenderRefused),
        ("DATA", aiosmtplib.SMTPDataError),
        (".", aiosmtplib.SMTPDataError),
    ],
)
async def test_errors_have_it(position: str, error: type[aiosmtplib.SMTPResponseException]) -> None:
    async with Peer({position: "554 5.7.1 no"}) as peer, session(peer) as client:
        with pytest.raises(error) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert caught.value.enhanced_code == (5, 7, 1)


async def test_refused_recipients_have_it() -> None:
    async with Peer({"RCPT": "550-5.1.1 nobody\r\n550 5.1.1 here"}) as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert [each.enhanced_code for each in caught.value.recipients] == [(5, 1, 1), (5, 1, 1)]
        assert [reply.enhanced_code for reply in caught.value.replies[1:3]] == [(5, 1, 1), (5, 1, 1)]
