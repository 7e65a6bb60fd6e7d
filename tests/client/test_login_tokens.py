"""Logging in with an access token: which refusals have the token function asked for a newer one."""

from typing import Any

import pytest

from aiosmtplib import SMTPAuthenticationError

from ..support.clients import assert_usable, client_for
from ..support.sasl_server import Gate, b64
from ..support.scripted_server import Peer

USER = "user"


def auth(*mechanisms: str) -> list[str]:
    return ["AUTH " + " ".join(mechanisms)]


GOOGLE = b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}'


class Tokens:
    """Hands out these tokens, one after the other."""

    def __init__(self, *tokens: str) -> None:
        self.left = list(tokens)

    async def __call__(self) -> str:
        return self.left.pop(0)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
async def test_an_expired_token_is_asked_for_again_once(mechanism: str) -> None:
    gate, tokens = Gate(), Tokens("stale", "token", "unused")
    async with Peer(gate.actions, extensions=auth(mechanism)) as peer:
        client = client_for(peer, username=USER, oauth_token_generator=tokens, stop_on_auth_failure=True)
        await assert_usable(client, peer)
        assert (gate.tried, gate.logins) == ([mechanism] * 2, [mechanism])
        assert tokens.left == ["unused"]
        gate.tried.clear()
        tokens.left = ["stale", "staler", "token"]
        with pytest.raises(SMTPAuthenticationError):
            await client.connect()
        assert gate.tried == [mechanism] * 2


async def test_the_same_token_again_is_not_sent() -> None:
    gate = Gate()
    async with Peer(gate.actions, extensions=auth("XOAUTH2")) as peer:
        client = client_for(peer, username=USER, oauth_token_generator=Tokens("stale", "stale"))
        with pytest.raises(SMTPAuthenticationError) as caught:
            await client.connect()
        assert caught.value.reason == '{"status":"401","schemes":"bearer"}'
        assert gate.tried == ["XOAUTH2"]


@pytest.mark.parametrize(
    ("actions", "stop", "asked"),
    [
        ({"AUTH": "535 5.7.3 no"}, False, 2),  # Microsoft gives no reason
        ({"AUTH": "535 5.7.3 no"}, True, 1),
        ({"AUTH": "334 e30=", "*": "535 no"}, False, 2),  # {}
        ({"AUTH": "334 W10=", "*": "535 no"}, False, 2),  # []
        # Google, of a token that has expired
        ({"AUTH": "334 " + b64(GOOGLE).decode(), "*": "535 5.7.8 no"}, False, 2),
        ({"AUTH": "334 " + b64(GOOGLE).decode(), "*": "535 5.7.8 no"}, True, 2),
        ({"AUTH": "334 " + b64(b'{"status":400}').decode(), "*": "535 no"}, True, 2),
        ({"AUTH": "334 " + GOOGLE.decode(), "*": "535 no"}, True, 2),  # without base64
        ({"AUTH": "334 " + b64(b'{"status":"500"}').decode(), "*": "535 no"}, False, 2),
        ({"AUTH": "334 " + b64(b'{"status":"500"}').decode(), "*": "535 no"}, True, 1),
        ({"AUTH": "334 " + b64(b'{"status":["400"]}').decode(), "*": "535 no"}, True, 1),
        ({"AUTH": "334 " + b64(b'{"status":"500"}').decode(), "*": "454 later"}, False, 1),
        ({"AUTH": "334 " + b64(b'{"status":"403"}').decode(), "*": "535 no"}, False, 1),
        ({"AUTH": "334 " + b64(b'{"status":"invalid_request"}').decode(), "*": "535 no"}, False, 1),
        ({"AUTH": "334 " + b64(b"\xff\0").decode(), "*": "535 no"}, False, 2),
        ({"AUTH": "334 !!!", "*": "535 no"}, False, 2),
        ({"AUTH": "334 !!!", "*": "535 no"}, True, 1),
        ({"AUTH": "334", "*": "535 no"}, False, 2),
        ({"AUTH": "334 " + b64(b'{"status":"insufficient_scope"}').decode(), "*": "535 no"}, False, 1),
        ({"AUTH": "334 " + b64(b"[" * 5000).decode(), "*": "535 no"}, True, 1),
        ({"AUTH": "454 4.7.0 later"}, False, 1),
        ({"AUTH": "421 bye"}, False, 1),
    ],
)
async def test_which_refusals_ask_for_another_token(actions: dict[str, Any], stop: bool, asked: int) -> None:
    tokens = Tokens("one", "two", "three")
    async with Peer(actions, extensions=auth("XOAUTH2")) as peer:
        client = client_for(peer, username=USER, oauth_token_generator=tokens, stop_on_auth_failure=stop)
        with pytest.raises(SMTPAuthenticationError):
            await client.connect()
    assert len(tokens.left) == 3 - asked


async def test_xoauth2_goes_first_as_it_always_did() -> None:
    gate = Gate()
    async with Peer(gate.actions, extensions=auth("OAUTHBEARER", "XOAUTH2")) as peer:
        await assert_usable(client_for(peer, username=USER, oauth_token_generator=Tokens("token")), peer)
    assert gate.tried == ["XOAUTH2"]
