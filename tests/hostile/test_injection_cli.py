"""Commands in the arguments of ``aiosmtplib send``: what cannot be meant is refused, and nothing is sent."""

import pytest

from aiosmtplib.testing import Server

from ..support.threaded_servers import EML, TEXT, Run, Serve, at, run_send, serve_embedded  # noqa: F401

ENDS = ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028"]
BEHIND = "RCPT TO:<evil@example.com>"


@pytest.mark.parametrize(
    "option", ["--from", "--to", "--cc", "--bcc", "--mail-option", "--rcpt-option", "--local-hostname"]
)
def test_options(serve: Serve, run: Run, option: str) -> None:
    server: Server = serve()
    for end in ENDS:
        code, _, err = run(*at(server), *TEXT, option, f"a@example.com{end}{BEHIND}", stdin=b"text")
        assert code == 2, err
    assert server.messages == []


@pytest.mark.parametrize("option", ["--subject", "--header"])
def test_header_fields(serve: Serve, run: Run, option: str) -> None:
    """Refused, or one field with all of it: nobody else gets it."""
    server: Server = serve()
    for end in ENDS:
        code, _, _ = run(*at(server), *TEXT, option, f"X: y{end}Bcc: evil@example.com", stdin=b"text")
        assert code in (0, 2)
    for message in server.messages:
        assert message.recipients == ("b@example.com",)
        assert b"\nBcc" not in message.content
        assert b"\rBcc" not in message.content
