"""The e-mail backend for Django: its connections, its options, its errors."""

import smtplib
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, ClassVar
from unittest import mock

import pytest

from aiosmtplib import Delivery, errors

from ..support import actions, certs
from ..support.proxies import ENCODED_LOGIN, LOGIN, Proxy
from ..support.scripted_server import PIPELINING, Peer
from ..support.threaded_servers import Serve, in_thread, serve_embedded

pytest.importorskip("django")

from django.core import mail

from aiosmtplib.contrib.django import EmailBackend

from .django_settings import at, backend, fqdn

__all__ = (
    "fqdn",
    "serve_embedded",
)

ME, YOU = "me@example.com", "you@example.com"
ARGS: tuple[Any, ...] = ("Hi", "Hello!\n.\n", ME, [YOU])


@pytest.fixture
def peer() -> Iterator[Peer]:
    with in_thread(Peer(extensions=PIPELINING)) as peer, at(peer):
        yield peer


def test_django_sends_over_it(peer: Peer) -> None:
    message = mail.EmailMultiAlternatives(*ARGS, bcc=["b@example.com"], headers={"X-A": "b"})
    message.attach_alternative("<p>Hello!</p>", "text/html")
    assert message.send() == 1
    assert mail.send_mail(*ARGS) == 1
    first, second = peer.accepted
    assert first.recipients == (b"you@example.com", b"b@example.com")
    assert b"\r\nX-A: b\r\n" in first.content
    assert b"b@example.com" not in first.content
    assert second.content.endswith(b"\r\nHello!\r\n.\r\n")
    # The connection is kept between calls.
    assert len(peer.conversations) == 1
    assert peer.commands[0] == b"EHLO me.example"


def test_threads_share_the_connections(peer: Peer) -> None:
    with ThreadPoolExecutor(10) as threads:
        assert list(threads.map(lambda _: mail.send_mail(*ARGS), range(50))) == [1] * 50
    assert len(peer.accepted) == 50
    assert len(peer.conversations) <= 10


def test_one_of_many_that_is_refused() -> None:
    with in_thread(Peer({"RCPT": actions.in_turn("250 Ok", "550 5.1.1 No", "250 Ok")})) as peer, at(peer):
        messages = [mail.EmailMessage(*ARGS) for _ in range(3)]
        assert backend(fail_silently=True).send_messages(messages) == 2
    refusing = Peer({"RCPT": "550 5.1.1 No"})
    with in_thread(refusing), at(refusing), pytest.raises(smtplib.SMTPRecipientsRefused):
        backend().send_messages(messages)


def test_many_messages_go_out_together(peer: Peer) -> None:
    peer.actions["."] = actions.in_turn(actions.when_received(b"MAIL"), *["250 Ok"])
    messages = [mail.EmailMessage(*ARGS) for _ in range(20)]
    one = backend(pool_options={"max_connections": 1})
    assert one.send_messages(iter(messages)) == 20
    assert len(peer.conversations) == 1


def test_options_of_the_pool_add_to_those_of_the_class(peer: Peer) -> None:
    class Named(EmailBackend):
        pool_options = MappingProxyType({"local_hostname": "news.example", "max_messages": 1})

    message = mail.EmailMessage(*ARGS)
    for more in ({}, {"max_messages": 2}):
        assert [backend(Named, pool_options=more).send_messages([message]) for _ in range(2)] == [1, 1]
    assert peer.commands.count(b"EHLO news.example") == len(peer.conversations) == 3
    with pytest.raises(TypeError, match="nonsense"):
        backend(pool_options={"nonsense": 1}).open()


def test_open_and_close(peer: Peer) -> None:
    ours = backend()
    assert ours.connection is None
    assert ours.open() is True
    assert ours.open() is False
    assert ours.send_messages([mail.EmailMessage(*ARGS)]) == 1
    assert ours.connection is not None
    ours.close()
    ours.close()
    assert ours.connection is None
    with ours:
        ours.send_messages([mail.EmailMessage(*ARGS)])
    assert len(peer.conversations) == 1


def test_nothing_to_send() -> None:
    assert EmailBackend(alias="default", host="nowhere.invalid").send_messages([]) == 0


def test_a_message_to_nobody_is_none(peer: Peer) -> None:
    messages = [mail.EmailMessage("Hi", "", ME, to) for to in ([YOU], [], [YOU])]
    assert backend().send_messages(messages) == 2


def test_a_message_that_is_none_is_an_error_and_those_before_it_are_sent(peer: Peer) -> None:
    messages = [mail.EmailMessage("Hi", "", ME, [YOU], bcc=bcc) for bcc in ([], ["a@b@c"])]
    with pytest.raises(ValueError, match="[Ii]nvalid address"):
        backend(fail_silently=True).send_messages(messages)
    assert len(peer.accepted) == 1


@pytest.mark.parametrize(
    ("at_position", "reply", "error", "cause"),
    [
        ("RCPT", "550 5.1.1 No", smtplib.SMTPRecipientsRefused, errors.SMTPRecipientsRefused),
        ("MAIL", "550 5.1.1 No", smtplib.SMTPSenderRefused, errors.SMTPSenderRefused),
        ("DATA", "550 5.1.1 No", smtplib.SMTPDataError, errors.SMTPDataError),
        ("EHLO", "550 5.1.1 No", smtplib.SMTPHeloError, errors.SMTPHeloError),
        ("connect", "554 5.1.1 No", smtplib.SMTPConnectError, errors.SMTPConnectResponseError),
        (".", actions.cut, smtplib.SMTPServerDisconnected, errors.SMTPServerDisconnected),
        ("MAIL", b"no reply\r\n", smtplib.SMTPResponseException, errors.SMTPResponseException),
    ],
)
def test_errors_are_those_of_smtplib(
    at_position: str, reply: Any, error: type[Exception], cause: type[errors.SMTPException]
) -> None:
    overrides = {at_position: reply} | ({"HELO": reply} if at_position == "EHLO" else {})
    with in_thread(Peer(overrides)) as peer, at(peer):
        with pytest.raises(error) as caught:
            mail.send_mail(*ARGS)
        assert type(caught.value.__cause__) is cause
        assert caught.value.delivery is caught.value.__cause__.delivery  # type: ignore[attr-defined,union-attr]
        assert backend(fail_silently=True).send_messages([mail.EmailMessage(*ARGS)]) == 0


def test_the_refused_recipients_are_named() -> None:
    refusing = Peer({"RCPT": "550 5.1.1 No"})
    with in_thread(refusing), at(refusing), pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        mail.send_mail(*ARGS)
    assert caught.value.recipients == {YOU: (550, b"5.1.1 No")}
    assert caught.value.delivery is Delivery.REJECTED  # type: ignore[attr-defined]


def test_a_server_that_is_not_there_is_an_oserror_or_silence() -> None:
    with in_thread(Peer()) as peer:
        pass
    with at(peer):
        with pytest.raises(ConnectionError) as caught:
            backend().open()
        assert isinstance(caught.value, errors.SMTPConnectError)
        silent = backend(fail_silently=True)
        assert silent.open() is None
        assert silent.send_messages([mail.EmailMessage(*ARGS)]) == 0


def test_credentials(serve: Serve) -> None:
    server = serve(users={"user": "open sesame"})
    with at(server, username="user", password="open sesame"):
        mail.send_mail(*ARGS)
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            backend(password="another").open()
        # Without a password there is no login, as with Django's own.
        with pytest.raises(smtplib.SMTPException):
            backend(password="").send_messages([mail.EmailMessage(*ARGS)])
    assert [each.username for each in server.messages] == ["user"]
    frames = [entry.frame for entry in caught.traceback if entry.path.name == "django.py"]
    assert frames
    assert "another" not in str([frame.f_locals for frame in frames])


def test_a_proxy() -> None:
    def behind(proxy: str) -> EmailBackend:
        class Proxied(EmailBackend):
            pool_options: ClassVar[dict[str, Any]] = {"proxy": proxy}

        return backend(Proxied)

    with in_thread(Peer()) as peer, in_thread(Proxy("http", peer, login=LOGIN)) as proxy, at(peer):
        for _ in range(2):  # the same pool, and the same connection
            assert behind(proxy.url(ENCODED_LOGIN)).send_messages([mail.EmailMessage(*ARGS)]) == 1
        assert proxy.logins == [LOGIN]
        for login in ("user:another@", "user:ano ther@"):
            with pytest.raises((smtplib.SMTPException, OSError, ValueError)) as caught:
                behind(proxy.url(login)).open()
            frames = [entry.frame for entry in caught.traceback if entry.path.name == "django.py"]
            assert frames
            assert "ano" not in str([frame.f_locals for frame in frames])


def test_a_login_that_is_not_offered(peer: Peer) -> None:
    with pytest.raises(smtplib.SMTPException, match="AUTH extension is not supported"):
        backend(username="user", password="x").open()


@pytest.mark.parametrize("implicit", [False, True])
def test_tls_is_verified(implicit: bool) -> None:
    class Trusting(EmailBackend):
        ssl_context = certs.client_context()

    options = {"host": "localhost", "use_ssl" if implicit else "use_tls": True, "timeout": 9}
    peer = Peer(tls=certs.server_context(), implicit_tls=implicit)
    with in_thread(peer), at(peer, **options):
        with pytest.raises(ssl.SSLError):
            mail.send_mail(*ARGS)
        assert backend(Trusting).send_messages([mail.EmailMessage(*ARGS)]) == 1


def test_starttls_is_insisted_upon_or_not_used(peer: Peer) -> None:
    with at(peer, use_tls=True), pytest.raises(smtplib.SMTPException) as caught:
        mail.send_mail(*ARGS)
    assert "STARTTLS extension not supported by server" in str(caught.value)
    assert not peer.accepted
    mail.send_mail(*ARGS)
    assert len(peer.accepted) == 1


def test_what_cannot_be_sent_is_a_value_error(peer: Peer) -> None:
    class Unchecked(EmailBackend):
        def _send(self, message: Any) -> bool:
            self.connection.sendmail("jürgen@example.com", [YOU], b"")
            return True

    for number in (1, 2):
        with pytest.raises(ValueError):
            backend(Unchecked, fail_silently=True).send_messages([mail.EmailMessage(*ARGS)] * number)
    assert not peer.accepted


def test_a_connection_of_the_programs_own_is_used_as_django_does(peer: Peer) -> None:
    ours = backend()
    ours.connection = own = mock.Mock()
    assert ours.send_messages([mail.EmailMessage(*ARGS)]) == 1
    own.sendmail.assert_called_once()
    ours.close()
    own.quit.assert_called_once()


def test_the_extra_is_named_where_django_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "django.core.mail.backends", None)
    monkeypatch.delitem(sys.modules, "aiosmtplib.contrib.django")
    with pytest.raises(ImportError, match=r"pip install 'aiosmtplib\[django\]'"):
        import aiosmtplib.contrib.django  # noqa: F401
