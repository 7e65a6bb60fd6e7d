"""The settings of Django for a server: ``MAILERS`` where Django has it, and those of before where not."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("django")

from django.conf import settings
from django.core import mail
from django.core.mail.utils import DNS_NAME
from django.test.utils import override_settings

if not settings.configured:
    settings.configure()

from aiosmtplib.contrib.django import EmailBackend

BACKEND = "aiosmtplib.contrib.django.EmailBackend"
HAS_MAILERS = hasattr(mail, "mailers")
NAMES = {"username": "EMAIL_HOST_USER", "password": "EMAIL_HOST_PASSWORD"}


@pytest.fixture(autouse=True)
def fqdn() -> Iterator[None]:
    """The name of this host, which Django looks up once in a process."""
    with mock.patch.object(DNS_NAME, "_fqdn", "me.example", create=True):
        yield


def mailer(server: Any, **options: Any) -> dict[str, Any]:
    """An entry of ``MAILERS`` for this server, which runs when it is made."""
    return {"BACKEND": BACKEND, "OPTIONS": {"host": server.host, "port": server.port, **options}}


def older(server: Any, **options: Any) -> Any:
    """The settings of before ``MAILERS`` for this server."""
    given = mailer(server, **options)["OPTIONS"]
    named = {NAMES.get(name, f"EMAIL_{name.upper()}"): value for name, value in given.items()}
    return override_settings(EMAIL_BACKEND=BACKEND, **named)


def at(server: Any, **options: Any) -> Any:
    """The settings for this server, as Django has them by now; options by their names in ``MAILERS``."""
    if HAS_MAILERS:
        return override_settings(MAILERS={"default": mailer(server, **options)})
    return older(server, **options)


def backend(kind: type[EmailBackend] = EmailBackend, **options: Any) -> EmailBackend:
    """A backend as Django makes it, with these options besides those of the settings."""
    if HAS_MAILERS:
        options = {"alias": "default", **settings.MAILERS["default"]["OPTIONS"], **options}
    return kind(**options)
