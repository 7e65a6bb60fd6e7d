"""``before_send``: what it gets, and that what it returns is what arrives, through every door."""

import threading
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import LMTP, SMTP, SMTPPool, blocking, blocking_hook

from ..support.clients import MESSAGE, RECIPIENTS, SENDER, options_for, session
from ..support.hooks import DOORS, MARK, Blocking, Counted, Door, Hook, Later, letter
from ..support.scripted_server import BINARYMIME, CHUNKING, PIPELINING, Peer
from ..support.threaded_servers import in_thread

UTF8 = (*CHUNKING, "SMTPUTF8")


def sizes_in(peer: Peer) -> list[int]:
    return [int(line.partition(b"size=")[2].split()[0]) for line in peer.commands if b" size=" in line]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("make", [Hook, Later, Blocking])
@pytest.mark.parametrize("extensions", [(), PIPELINING, CHUNKING])
async def test_what_it_returns_is_sent(door: Door, make: type[Hook], extensions: tuple[str, ...]) -> None:
    hook, message = make(), letter(Counted)
    Counted.looks = 0
    flattened = aiosmtplib.email.flatten_message(message)
    once, Counted.looks = Counted.looks, 0
    async with Peer(extensions=extensions, strict=True) as peer:
        await door(options_for(peer, before_send=hook), SENDER, message)
        await door(options_for(peer, before_send=hook), SENDER, MESSAGE)
    assert [each.content for each in peer.accepted] == [MARK + seen for seen in hook.seen]
    assert Counted.looks == once > 0
    assert hook.seen == [flattened, MESSAGE.replace(b"\n", b"\r\n") + b"\r\n"]
    assert b"Bcc" not in flattened
    assert sizes_in(peer) == ([len(each.content) for each in peer.accepted] if extensions else [])
    assert (hook.threads == {threading.get_ident()}) is (make is not Blocking)


@pytest.mark.parametrize("door", DOORS)
async def test_the_form_is_that_for_this_server(door: Door) -> None:
    hook = Hook()
    for extensions in ((), PIPELINING, UTF8):
        async with Peer(extensions=extensions) as peer:
            sender = "ä@example.com" if extensions is UTF8 else SENDER
            await door(options_for(peer, before_send=hook), sender, letter(body="Grüße\n"))
        assert peer.accepted[0].content == MARK + hook.seen[-1]
        mail = next(line for line in peer.commands if line.startswith(b"MAIL"))
        assert (b"BODY=8BITMIME" in mail, b"SMTPUTF8" in mail) == (extensions != (), extensions is UTF8)
    seven, eight, utf8 = hook.seen
    assert seven.isascii()
    assert "\r\n\r\nGrüße\r\n".encode() in eight
    assert b"Subject: =?" in eight
    assert "Subject: Grüße\r\n".encode() in utf8


async def test_binary_content_is_as_it_is() -> None:
    hook = Hook()
    async with Peer(extensions=BINARYMIME) as peer, session(peer, before_send=hook) as client:
        await client.sendmail(SENDER, RECIPIENTS, b"a\n\0\rb", ["BODY=BINARYMIME"])
    assert hook.seen == [b"a\n\0\rb"]
    assert peer.accepted[0].content == MARK + b"a\n\0\rb"


@pytest.mark.parametrize("door", DOORS)
async def test_missing_fields_come_before_it_and_not_after(door: Door) -> None:
    seen: list[bytes] = []

    def strip(content: bytes) -> bytes:
        seen.append(content)
        return b"Subject: anonymous\r\n\r\n"

    async with Peer() as peer:
        for message in (letter(), MESSAGE):
            await door(options_for(peer, before_send=strip, complete_headers=True), SENDER, message)
    assert [each.content for each in peer.accepted] == [b"Subject: anonymous\r\n\r\n"] * 2
    for content in seen:
        assert content.count(b"Date: ") == content.count(b"Message-ID: ") == 1


async def test_octets_with_progress() -> None:
    told: list[tuple[int, int | None]] = []
    async with Peer() as peer, session(peer, before_send=Hook(), complete_headers=True) as client:
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE, progress=lambda *each: told.append(each))
    content = peer.accepted[0].content
    assert content.startswith(MARK + b"Date: ")
    assert content.count(b"Date: ") == 1
    assert told[-1] == (len(content), len(content))


async def test_by_lmtp_and_by_an_assigned_option() -> None:
    hook = Hook()
    async with Peer(lmtp=True) as peer, LMTP(**options_for(peer)) as client:
        client.before_send = hook
        await client.send_message(letter())
        client.before_send = None
        await client.send_message(letter())
    assert [each.content.startswith(MARK) for each in peer.accepted] == [True, False]


async def test_connect_takes_it() -> None:
    hook = Hook()
    async with Peer() as peer:
        client = SMTP()
        await client.connect(**options_for(peer, before_send=hook))
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await client.quit()
    assert len(hook.seen) == 1


async def test_a_class_with_a_sendmail_of_its_own_has_the_message_first() -> None:
    class Mine(SMTP):
        async def sendmail(
            self, sender: Any, recipients: Any, message: Any, *args: Any, **kwargs: Any
        ) -> Any:
            return await super().sendmail(sender, recipients, b"X-Mine: yes\r\n" + message, *args, **kwargs)

    hook = Hook()
    async with Peer() as peer:
        async with Mine(**options_for(peer, before_send=hook)) as client:
            await client.send_message(letter())
        async with SMTPPool(**options_for(peer, before_send=hook), client_class=Mine) as pool:
            await pool.send(letter())
            await pool.send(MESSAGE, SENDER, RECIPIENTS)
    for accepted in peer.accepted:
        assert accepted.content.startswith(MARK + b"X-Mine: yes\r\n")
    assert len(hook.seen) == len(peer.accepted) == 3


# -- the option --------------------------------------------------------------------------------------


def test_it_has_to_be_a_function() -> None:
    wrong: Any
    for wrong in ("sign", 1, b""):
        with pytest.raises(TypeError, match="before_send"):
            SMTP(before_send=wrong)
        with pytest.raises(TypeError, match="before_send"):
            SMTPPool(before_send=wrong)
    with pytest.raises(ValueError, match="'before_send' is no option that a URL can have"):
        SMTP.from_url("smtp://mail?before_send=print")
    hook = Hook()
    assert SMTP.from_url("smtp://mail", before_send=hook).before_send is hook


def test_the_mark() -> None:
    @blocking_hook
    def sign(content: bytes) -> bytes:
        """Signs."""
        return MARK + content

    assert (sign.__name__, sign.__doc__) == ("sign", "Signs.")  # type: ignore[attr-defined]
    assert sign(b"x") == MARK + b"x"
    assert blocking_hook(Hook().__call__)(b"x") == MARK + b"x"


async def test_a_coroutine_function_with_the_mark_is_awaited_in_the_loop() -> None:
    hook = Later()
    hook.blocking = True  # type: ignore[attr-defined]
    async with Peer() as peer, session(peer, before_send=hook) as client:
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
    assert hook.threads == {threading.get_ident()}
    assert peer.accepted[0].content.startswith(MARK)


def test_from_a_program_without_asyncio() -> None:
    hook = Later()
    with in_thread(Peer(extensions=CHUNKING)) as peer:
        blocking.send(letter(), **options_for(peer, before_send=hook))
        for result in blocking.send_many([letter()] * 2, **options_for(peer, before_send=hook)):
            result.raise_for_status()
        assert [each.content for each in peer.accepted] == [MARK + seen for seen in hook.seen]
        assert len(peer.accepted) == 3
