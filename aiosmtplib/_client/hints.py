"""Hints: what to do about the errors that people meet first, in one table.

An error that leaves a client has the text of the first line that applies as ``hint``, and at the end of its
own text. Each names the server, and the options of :class:`aiosmtplib.SMTP` that matter; the command line
calls those by other names.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from ..errors import (
    SMTPAuthenticationError,
    SMTPConnectTimeoutError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
)


class Setup(NamedTuple):
    """What is known of a connection, besides its error.

    :ivar server: host and port, or path, as error messages name them
    :ivar host: the name of the server
    :ivar tls: whether it is spoken to in TLS from the first byte
    :ivar tls_port: whether its port is that of TLS from the first byte, 465
    :ivar login: whether there is a user name to log in with
    :ivar token: whether there is an access token to log in with
    :ivar waited: whether the server had any time to answer, which a timeout of 0 does not give it
    """

    server: str
    host: str
    tls: bool = False
    tls_port: bool = False
    login: bool = False
    token: bool = False
    waited: bool = True


class Hint(NamedTuple):
    """A line of the table.

    :ivar name: what tests call it
    :ivar applies: whether it is for an error
    :ivar text: what to do; ``{server}`` stands for :attr:`Setup.server`
    """

    name: str
    applies: Callable[[SMTPException, Setup], bool]
    text: str


#: Why ``sendmail`` does not take a ``str``: the end of the text of a :class:`UnicodeEncodeError`.
NOT_ASCII: Final = (
    "a message that is a str has to be ASCII: pass bytes, as message.encode() makes them, with a field "
    "Content-Type that names the charset, or an EmailMessage, which does both"
)

#: What OpenSSL calls an answer that is no TLS.
_NO_TLS: Final = (
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
)
# What OpenSSL calls a certificate that it does not accept (X509_V_ERR_...).
_NOT_SIGNED: Final = (18, 19, 20, 21)
_OTHER_NAME: Final = (62, 64)
_NOT_NOW: Final = (9, 10)
_AWAY: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT)


def _code(error: SMTPException) -> int:
    """The reply code of an error, 0 if it has none."""
    if isinstance(error, SMTPRecipientsRefused):
        return error.recipients[0].code if error.recipients else 0
    return error.code if isinstance(error, SMTPResponseException) else 0


def _text(error: SMTPException) -> str:
    """What the server said."""
    return error.recipients[0].message if isinstance(error, SMTPRecipientsRefused) else error.message


def _verification(codes: Collection[int]) -> Callable[[SMTPException, Setup], bool]:
    return lambda error, _: getattr(error, "verify_code", None) in codes


def _caused_by(kind: type[OSError]) -> Callable[[SMTPException, Setup], bool]:
    """Whether the connection could not be made, for a reason of this kind."""
    return lambda error, _: error.phase == "connect" and isinstance(error.__cause__, kind)


def _at_hop(*hops: str) -> Callable[[SMTPException, Setup], bool]:
    """Whether a proxy did not connect, and it got no further than this."""
    return lambda error, setup: setup.waited and getattr(error.__cause__, "hop", None) in hops


def _lacks(what: str) -> Callable[[SMTPException, Setup], bool]:
    return lambda error, _: type(error) is SMTPException and error.message.startswith(what)


def _refuses_login(error: SMTPException, _: Setup) -> bool:
    return isinstance(error, SMTPAuthenticationError) and error.code in (534, 535)


def _provider(name: str, domains: str, text: str) -> Hint:
    """What a provider wants for a password, by the domains of its servers."""
    found = tuple(f".{domain}" for domain in domains.split())

    def applies(error: SMTPException, setup: Setup) -> bool:
        return _refuses_login(error, setup) and f".{setup.host.lower().rstrip('.')}".endswith(found)

    return Hint(name, applies, f"{{server}} is of {name}, and {text}")


HINTS: Final = (
    # -- what the port speaks ------------------------------------------------------------------------
    Hint(
        "TLS port in plain text",
        lambda error, setup: (
            setup.tls_port and not setup.tls and error.phase == "connect" and error.__cause__ is None
        ),
        "Pass use_tls=True, and no start_tls",
    ),
    Hint(
        "no greeting",
        lambda error, setup: (
            isinstance(error, SMTPConnectTimeoutError) and error.phase == "greeting" and not setup.tls
        ),
        "{server} lets connect and says nothing: if it speaks TLS from the first byte, as servers do on port "
        "465, pass use_tls=True",
    ),
    Hint(
        "no TLS",
        lambda error, setup: setup.tls and getattr(error, "reason", None) in _NO_TLS,
        "{server} begins in plain text, as servers do on ports 587 and 25: pass start_tls=True in place of "
        "use_tls=True",
    ),
    # -- certificates --------------------------------------------------------------------------------
    Hint(
        "unknown authority",
        _verification(_NOT_SIGNED),
        "The certificate of {server} is self-signed, or of an authority that this system does not know: pass "
        "its PEM file as cert_bundle. With validate_certs=False nobody knows who reads the mail",
    ),
    Hint(
        "other name",
        _verification(_OTHER_NAME),
        "The certificate of {server} is for another name: connect by the name that is in it, or "
        "pass that as server_hostname",
    ),
    Hint(
        "not valid now",
        _verification(_NOT_NOW),
        "The certificate of {server} is out of date, or the clock of this computer is wrong",
    ),
    # -- what is wanted before mail ------------------------------------------------------------------
    Hint(
        "STARTTLS first",
        lambda error, _: _code(error) == 538 or (_code(error) == 530 and "STARTTLS" in _text(error).upper()),
        "{server} wants an encrypted connection: pass start_tls=True",
    ),
    Hint(
        "login first",
        lambda error, setup: _code(error) == 530 and not setup.login,
        "{server} wants a login before mail: pass username and password",
    ),
    Hint(
        "no STARTTLS",
        _lacks("SMTP STARTTLS extension not supported"),
        "{server} offers no encryption here: try its port 465 with use_tls=True; start_tls=False sends in "
        "plain text, for a server on this computer",
    ),
    Hint(
        "no AUTH",
        _lacks("The SMTP AUTH extension is not supported"),
        "{server} offers no login here: submission is on port 587 with start_tls=True, or 465 with "
        "use_tls=True; a server that wants no login gets no username",
    ),
    # -- credentials ---------------------------------------------------------------------------------
    Hint(
        "token",
        lambda error, setup: setup.token and _refuses_login(error, setup),
        "{server} refuses the access token: it has to be of this user, not expired, and for the scope of "
        "SMTP (Gmail: https://mail.google.com/, Microsoft: https://outlook.office.com/SMTP.Send)",
    ),
    _provider(
        "Gmail",
        "gmail.com googlemail.com",
        "takes no account password: make an application password at "
        "https://myaccount.google.com/apppasswords (with 2-step verification), or pass oauth_token_generator",
    ),
    _provider(
        "Microsoft",
        "office365.com outlook.com office.com hotmail.com",
        "takes OAuth in place of passwords: pass oauth_token_generator, and have SMTP AUTH switched on for "
        "the mailbox",
    ),
    _provider(
        "Yahoo or AOL",
        "yahoo.com aol.com",
        "takes no account password: make an application password in the security settings of the account",
    ),
    _provider(
        "iCloud",
        "me.com icloud.com",
        "takes no account password: make an app-specific password at https://account.apple.com",
    ),
    _provider(
        "Fastmail",
        "fastmail.com messagingengine.com",
        "takes no account password: make an application password in its settings",
    ),
    _provider(
        "Zoho",
        "zoho.com zoho.eu zoho.in",
        "wants an application password where the account has two factors",
    ),
    _provider(
        "GMX or WEB.DE",
        "gmx.net gmx.com gmx.de web.de",
        "wants access by mail programs to be switched on in the settings of the mailbox, and an application "
        "password where the account has two factors",
    ),
    _provider(
        "Yandex or Mail.ru",
        "yandex.com yandex.ru yandex.net mail.ru",
        "takes no account password: make an application password in its settings",
    ),
    _provider(
        "QQ or NetEase",
        "qq.com 163.com 126.com",
        "takes no account password: have SMTP switched on in its settings, which then shows an authorization "
        "code to use as password",
    ),
    _provider(
        "Proton",
        "protonmail.ch proton.me",
        "takes no account password: make an SMTP token in its settings, for one address",
    ),
    _provider(
        "Amazon SES",
        "amazonaws.com",
        "takes the SMTP credentials that its console makes for a region, no access key of AWS",
    ),
    _provider("SendGrid", "sendgrid.net", "takes the user name apikey, and an API key as password"),
    _provider("Mailgun", "mailgun.org", "takes the SMTP credentials of the sending domain"),
    _provider("Postmark", "postmarkapp.com", "takes the API token of a server as user name and as password"),
    _provider("Brevo", "brevo.com sendinblue.com", "takes an SMTP key as password, no account password"),
    _provider("Mailjet", "mailjet.com", "takes the API key as user name, and the secret key as password"),
    Hint(
        "credentials",
        _refuses_login,
        "{server} refuses these credentials: check username and password. Many providers want an application "
        "password, or OAuth by oauth_token_generator, in place of the password of the account",
    ),
    # -- proxies -------------------------------------------------------------------------------------
    Hint(
        "no proxy",
        _at_hop("proxy", "protocol"),
        "Check scheme, host and port in the proxy option, and that the proxy runs",
    ),
    Hint(
        "proxy login",
        _at_hop("login"),
        "Check user name and password in the proxy option, where @ : / % are written %40 %3A %2F %25",
    ),
    Hint(
        "proxy to server",
        _at_hop("server"),
        "The proxy was reached, and not {server}: check host and port, and which ports the proxy lets "
        "through: many only 443",
    ),
    # -- no server there -----------------------------------------------------------------------------
    Hint(
        "nothing listens",
        _caused_by(ConnectionRefusedError),
        "Nothing listens there: check host and port (submission is on 587 or 465, relaying on 25), and that "
        "the server runs",
    ),
    Hint(
        "unknown name",
        _caused_by(socket.gaierror),
        "No address is known for that name: check how it is written, and the name service of this computer",
    ),
    Hint(
        "no such socket",
        _caused_by(FileNotFoundError),
        "There is no such socket: check the path, and that the server runs",
    ),
    Hint(
        "no answer",
        lambda error, setup: (
            error.phase == "connect"
            and setup.waited
            and (isinstance(error, SMTPConnectTimeoutError) or getattr(error.__cause__, "errno", 0) in _AWAY)
        ),
        "Nothing answers there: a wrong host, or a firewall. Many networks let nothing out to port 25: use "
        "587 or 465",
    ),
)

#: What the command line calls the options.
_COMMAND_LINE: Final = {
    "use_tls=True": "--tls",
    "start_tls=True": "--starttls",
    "start_tls=False": "--no-starttls",
    "no start_tls": "no --starttls",
    "as cert_bundle": "with --cafile",
    ", or pass that as server_hostname": "",
    "validate_certs=False": "--no-verify",
    "pass username and password": "pass --user, and the password in AIOSMTPLIB_PASSWORD",
    "check username and password": "check user name and password",
    "gets no username": "gets no --user",
    "in the proxy option": "in --proxy",
    "pass oauth_token_generator": "set AIOSMTPLIB_TOKEN",
    "OAuth by oauth_token_generator": "OAuth by AIOSMTPLIB_TOKEN",
}


def hint_for(error: SMTPException, setup: Setup) -> str | None:
    """What to do about an error, or ``None`` where there is nothing to add."""
    for _, applies, text in HINTS:
        if applies(error, setup):
            return text.format(server=setup.server)
    return None


def for_command_line(hint: str) -> str:
    """A hint in the words of the command line."""
    for option, name in _COMMAND_LINE.items():
        hint = hint.replace(option, name)
    return hint
