"""Twelve uses of fastapi-mail against servers of aiosmtpd: its source distributions have no tests.

They go through its interface alone. What is of interest is how it calls the client: the options of the
constructor, ``connect``, ``login``, ``send_message`` and ``quit``.
"""

import socket
import ssl

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from fastapi_mail import ConnectionConfig, FastMail, MessageSchema, MessageType
from fastapi_mail.errors import ConnectionErrors

CREDENTIALS = (b"jane", b"open sesame")


class Mailbox:
    """Takes mail, and remembers the envelopes and what was known of the session."""

    def __init__(self):
        self.mail, self.names, self.encrypted, self.logins = [], set(), set(), []

    async def handle_DATA(self, server, session, envelope):
        self.mail.append(envelope)
        self.names.add(session.host_name)
        self.encrypted.add(session.ssl is not None)
        return "250 taken"

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append(mechanism)
        return AuthResult(success=(data.login, data.password) == CREDENTIALS)


class Server(Controller):
    def __init__(self, mailbox, *, offered=None, implicit=None, login=False):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        super().__init__(mailbox, hostname="127.0.0.1", port=port, ssl_context=implicit)
        self.offered, self.login = offered, login

    def factory(self):
        authenticator = self.handler.authenticate if self.login else None
        return SMTP(
            self.handler, hostname="mx.example.net", tls_context=self.offered, authenticator=authenticator
        )


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("authority") / "bundle.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="module")
def context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def mailbox():
    return Mailbox()


@pytest.fixture
def start(mailbox):
    started = []

    def start(**options):
        server = Server(mailbox, **options)
        server.start()
        started.append(server)
        return server.port

    yield start
    for server in started:
        server.stop()


def mailer(port, **options):
    login, password = (text.decode() for text in CREDENTIALS)
    defaults = {
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": port,
        "MAIL_FROM": "jane@example.com",
        "MAIL_USERNAME": login,
        "MAIL_PASSWORD": password,
        "MAIL_STARTTLS": False,
        "MAIL_SSL_TLS": False,
        "USE_CREDENTIALS": False,
        "TIMEOUT": 10,
    }
    return FastMail(ConnectionConfig(**{**defaults, **options}))


def letter(**fields):
    defaults = {
        "subject": "News",
        "recipients": ["joe@example.org"],
        "body": "All is well.",
        "subtype": "plain",
    }
    return MessageSchema(**{**defaults, **fields})


async def test_in_the_clear(start, mailbox):
    await mailer(start()).send_message(letter())
    (envelope,) = mailbox.mail
    assert (envelope.mail_from, envelope.rcpt_tos) == ("jane@example.com", ["joe@example.org"])
    assert mailbox.encrypted == {False}


async def test_starttls_that_is_offered_and_not_wanted(start, mailbox, context):
    await mailer(start(offered=context)).send_message(letter())
    assert mailbox.encrypted == {False}


async def test_starttls(start, mailbox, context, bundle):
    port = start(offered=context)
    await mailer(port, MAIL_STARTTLS=True, CERT_BUNDLE=bundle).send_message(letter())
    assert mailbox.encrypted == {True}


async def test_starttls_that_is_not_offered(start, mailbox):
    with pytest.raises(ConnectionErrors):
        await mailer(start(), MAIL_STARTTLS=True).send_message(letter())
    assert mailbox.mail == []


async def test_implicit_tls(start, mailbox, context, bundle):
    port = start(implicit=context)
    await mailer(port, MAIL_SSL_TLS=True, CERT_BUNDLE=bundle).send_message(letter())
    assert len(mailbox.mail) == 1


async def test_a_certificate_that_nobody_checks(start, mailbox, context):
    port = start(offered=context)
    await mailer(port, MAIL_STARTTLS=True, VALIDATE_CERTS=False).send_message(letter())
    assert mailbox.encrypted == {True}


async def test_a_certificate_of_an_unknown_authority(start, mailbox, context):
    port = start(offered=context)
    with pytest.raises(ConnectionErrors):
        await mailer(port, MAIL_STARTTLS=True).send_message(letter())
    assert mailbox.mail == []


async def test_logging_in(start, mailbox, context, bundle):
    port = start(offered=context, login=True)
    await mailer(port, MAIL_STARTTLS=True, CERT_BUNDLE=bundle, USE_CREDENTIALS=True).send_message(letter())
    assert len(mailbox.logins) == len(mailbox.mail) == 1


async def test_a_wrong_password(start, mailbox, context, bundle):
    port = start(offered=context, login=True)
    secured = {"MAIL_STARTTLS": True, "CERT_BUNDLE": bundle}
    with pytest.raises(ConnectionErrors):
        await mailer(port, **secured, USE_CREDENTIALS=True, MAIL_PASSWORD="sesame").send_message(letter())
    assert mailbox.logins
    assert mailbox.mail == []


async def test_several_messages_with_copies_and_a_name(start, mailbox, tmp_path):
    attached = tmp_path / "figures.csv"
    attached.write_text("1,2\n")
    html = letter(body="<p>grüß dich</p>", subtype=MessageType.html, attachments=[str(attached)])
    copied = letter(cc=["carl@example.org"], bcc=["ben@example.org"])
    await mailer(start(), LOCAL_HOSTNAME="app.example.com").send_message([copied, html])
    first, second = mailbox.mail
    assert sorted(first.rcpt_tos) == ["ben@example.org", "carl@example.org", "joe@example.org"]
    assert b"ben@example.org" not in first.content
    assert b"figures.csv" in second.content
    assert mailbox.names == {"app.example.com"}


async def test_nobody_listens(start, mailbox):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionErrors):
            await mailer(bound.getsockname()[1]).send_message(letter())


async def test_a_suppressed_message_needs_no_server(mailbox):
    await mailer(1, SUPPRESS_SEND=1).send_message(letter())
    assert mailbox.mail == []
