"""A backend for Django with options of the pool: ``EMAIL_BACKEND = "django_backend.EmailBackend"``."""

from types import MappingProxyType

from aiosmtplib.contrib import django


class EmailBackend(django.EmailBackend):
    pool_options = MappingProxyType({"max_connections": 4, "rate": 50, "max_messages": 100})
