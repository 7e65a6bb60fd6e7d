"""LOGIN: what answers which prompt, by its content and by the order."""

import pytest

from aiosmtplib._sasl.base import AmbiguousPromptError, InvalidChallengeError
from aiosmtplib._sasl.mechanisms import Login

from ..support.sasl_server import b64

NAME, PASSWORD = b"dQ==", b"cA=="


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        (b64(b"Password:"), PASSWORD),
        (b64(b"Passwort:"), PASSWORD),
        (b64(b"Kennwort:"), PASSWORD),
        (b"Password:", PASSWORD),
        (b64(b"Username:"), NAME),
        (b64(b"User Name\0"), NAME),
        (b64(b"LOGIN:"), NAME),
        (b64(b"Benutzername:"), NAME),
        (b64(b"E-Mail:"), NAME),
        (b"Username:", NAME),
    ],
)
def test_login_answers_what_is_asked_for(prompt: bytes, answer: bytes) -> None:
    mechanism = Login("u", "p")
    assert bytes(mechanism.start()) == b"LOGIN dQ=="
    assert mechanism.respond(prompt) == answer
    if answer == NAME:
        assert mechanism.respond(b64(b"Password:")) == PASSWORD
    with pytest.raises(InvalidChallengeError):
        mechanism.respond(b64(b"Password:"))


@pytest.mark.parametrize("prompt", [b"", b64(b"x"), b"Username", b64(b"Login password:"), "Имя".encode()])
def test_login_goes_by_the_order_where_the_prompt_does_not_say(prompt: bytes) -> None:
    mechanism = Login("u", "p")
    mechanism.start()
    with pytest.raises(AmbiguousPromptError, match="what does it ask for"):
        mechanism.respond(prompt)
    assert bytes(mechanism.start(alone=True)) == b"LOGIN"
    assert mechanism.respond(prompt) == NAME
    assert mechanism.respond(prompt and b64(b"y")) == PASSWORD


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b64(b"Username:"), b64(b"Username:")),
        (b64(b"Username:"), b64(b"Login:")),
        (b64(b"Login:"), b"Benutzername:"),
        (b64(b"Name (not the password):"), b64(b"Name:")),
        ("Имя:".encode(), "Имя:".encode()),  # in any language: it was the name that answered it before
    ],
)
def test_login_gives_no_password_to_who_asks_for_the_name_again(
    alone: bool, first: bytes, second: bytes
) -> None:
    mechanism = Login("u", "p")
    mechanism.start(alone)
    try:
        assert mechanism.respond(first) == NAME
    except AmbiguousPromptError:
        assert not alone
        return
    with pytest.raises(InvalidChallengeError, match="asks for the user name again"):
        mechanism.respond(second)
