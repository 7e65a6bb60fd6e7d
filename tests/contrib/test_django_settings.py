"""The e-mail backend for Django by its settings: ``MAILERS``, and those of before."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ..support import certs
from ..support.certs import Files
from ..support.scripted_server import Peer
from ..support.threaded_servers import Serve, in_thread, serve_embedded

pytest.importorskip("django")

from django.core import mail
from django.test.utils import override_settings

from .django_settings import BACKEND, HAS_MAILERS, at, backend, fqdn, mailer, older

__all__ = ("fqdn", "serve_embedded")

ME, YOU = "me@example.com", "you@example.com"
ARGS: tuple[Any, ...] = ("Hi", "Hello!\n", ME, [YOU])

with_mailers = pytest.mark.skipif(not HAS_MAILERS, reason="Django has MAILERS from 6.1 on")


@pytest.fixture
def peers() -> Iterator[tuple[Peer, Peer]]:
    with ExitStack() as stack:
        yield stack.enter_context(in_thread(Peer())), stack.enter_context(in_thread(Peer()))


def made(**options: Any) -> Any:
    """The backend of a mailer that has these options and no others."""
    with override_settings(MAILERS={"odd": {"BACKEND": BACKEND, "OPTIONS": options}}):
        return mail.mailers["odd"]


@with_mailers
def test_each_alias_has_its_server(peers: tuple[Peer, Peer]) -> None:
    default, news = peers
    with override_settings(MAILERS={"default": mailer(default), "news": mailer(news)}, ADMINS=[YOU]):
        assert mail.send_mail(*ARGS) == 1
        assert mail.EmailMessage(*ARGS).send() == 1
        mail.mail_admins("Oh", "No")
        assert len(default.accepted) == 3
        assert not news.accepted
        assert mail.send_mail(*ARGS, using="news") == 1
        assert mail.EmailMessage(*ARGS).send(using="news") == 1
        assert mail.send_mass_mail([ARGS, ARGS], using="news") == 2
        assert mail.mailers["news"].send_messages([mail.EmailMessage(*ARGS)]) == 1
        mail.mail_admins("Oh", "No", using="news")
        assert len(news.accepted) == 6
        assert len(default.accepted) == 3
        assert mail.mailers["news"].alias == "news"
    assert len(default.conversations) == 1


@with_mailers
def test_aliases_share_a_pool_if_their_options_are_equal(peers: tuple[Peer, Peer]) -> None:
    peer, _ = peers
    aliases = {
        "default": mailer(peer),
        "same": mailer(peer),
        "another": mailer(peer, pool_options={"local_hostname": "news.example"}),
    }
    with override_settings(MAILERS=aliases):
        for _ in range(2):
            for alias in aliases:
                assert mail.send_mail(*ARGS, using=alias) == 1
    heard = [each.commands for each in peer.conversations]
    assert [lines[0] for lines in heard] == [b"EHLO me.example", b"EHLO news.example"]
    assert [lines.count(b"DATA") for lines in heard] == [4, 2]


@with_mailers
def test_a_mailer_may_fail_silently() -> None:
    with in_thread(Peer({"RCPT": "550 5.1.1 No"})) as peer:
        silent = {"default": mailer(peer, fail_silently=True)}
        with override_settings(MAILERS=silent):
            assert mail.send_mail(*ARGS) == 0
    with override_settings(MAILERS=silent):  # nor is there a server by now
        assert mail.send_mail(*ARGS) == 0


@with_mailers
def test_options_that_django_does_not_take_are_reported_as_it_does() -> None:
    with pytest.raises(mail.InvalidMailer, match="'max_connections', 'pool'"):
        made(host="localhost", max_connections=4, pool={})
    with pytest.raises(mail.InvalidMailer, match="host"):
        made(port=25)
    with pytest.raises(mail.InvalidMailer, match="use_tls"):
        made(host="localhost", use_tls=True, use_ssl=True)


@with_mailers
def test_the_port_follows_from_tls() -> None:
    options: dict[str, Any]
    for options, port in (({}, 25), ({"use_tls": True}, 587), ({"use_ssl": True}, 465)):
        assert made(host="localhost", **options).port == port


@pytest.mark.filterwarnings("ignore:The EMAIL_[A-Z_]+ setting is deprecated:PendingDeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'fail_silently' argument is deprecated:PendingDeprecationWarning")
def test_the_settings_of_before(serve: Serve) -> None:
    # Of what Django warns by itself is said above. That nothing else is warned of is tested, too.
    server = serve(users={"user": "open sesame"}, refuse=["nobody@example.com"])
    with older(server, username="user", password="open sesame", timeout=9):
        assert mail.send_mail(*ARGS) == 1
        assert mail.EmailMultiAlternatives(*ARGS).send() == 1
        assert mail.send_mass_mail([ARGS, ARGS]) == 2
        assert mail.send_mail("Hi", "Hi", ME, ["nobody@example.com"], fail_silently=True) == 0
    assert [each.username for each in server.messages] == ["user"] * 4


@pytest.mark.parametrize("implicit", [False, True])
def test_a_certificate_of_the_client(implicit: bool, certificates: Files) -> None:
    options = {
        "host": "localhost",
        "use_ssl" if implicit else "use_tls": True,
        "ssl_certfile": certificates.client_cert,
        "ssl_keyfile": certificates.client_key,
    }
    peer = Peer(tls=certs.server_context(ask_client=True), implicit_tls=implicit)
    with in_thread(peer), at(peer, **options):
        ours = backend(pool_options={"cert_bundle": certificates.ca})
        assert ours.send_messages([mail.EmailMessage(*ARGS)]) == 1
    assert peer.conversations[0].client_certificate is not None
