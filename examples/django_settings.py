"""Lines for the settings of a project on Django 5.2 or 6.0, which have no ``MAILERS``."""

import os

EMAIL_BACKEND = "aiosmtplib.contrib.django.EmailBackend"
EMAIL_HOST = "localhost"
EMAIL_PORT = int(os.environ.get("SMTP_PORT", "1025"))
EMAIL_TIMEOUT = 30
