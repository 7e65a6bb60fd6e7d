"""Mail from Django over connections that are kept: settings, and what a view or a command does."""

import os

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, mailers, send_mail

BACKEND = "aiosmtplib.contrib.django.EmailBackend"
SERVER = {"host": "localhost", "port": int(os.environ.get("SMTP_PORT", "1025"))}

settings.configure(
    MAILERS={
        "default": {"BACKEND": BACKEND, "OPTIONS": {**SERVER, "timeout": 30}},
        "news": {
            "BACKEND": BACKEND,
            "OPTIONS": {**SERVER, "pool_options": {"max_connections": 4, "max_messages": 100}},
        },
    }
)


def main() -> None:
    sent = send_mail("Welcome", "Good to have you.", "me@example.com", ["you@example.com"])

    letters = []
    for number in range(100):
        letter = EmailMultiAlternatives(
            "News", "There is some.", "me@example.com", [f"you+{number}@example.com"]
        )
        letter.attach_alternative("<p>There is some.</p>", "text/html")
        letters.append(letter)
    sent += mailers["news"].send_messages(letters)
    print(sent, "sent")


if __name__ == "__main__":
    main()
