"""1,000 messages from Django: ``python -m benchmarks.django_mail``, which needs Django.

By ``aiosmtplib.contrib.django`` and by Django's own SMTP backend, to the same smtp-sink: in one call of
``send_messages``, and in a call for each message. Each runs in a process of its own and counts its own CPU;
they take turns, and the medians are shown.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from statistics import median
from typing import Any

from .compare_servers import Missing, sink

BACKENDS = {
    "aiosmtplib": "aiosmtplib.contrib.django.EmailBackend",
    "django": "django.core.mail.backends.smtp.EmailBackend",
}
MESSAGES = 1000


def child(backend: str, how: str, port: int) -> None:
    """Send, and print the seconds of CPU and of time."""
    from django.conf import settings
    from django.core.mail import EmailMessage
    from django.utils.module_loading import import_string

    settings.configure()
    kind = import_string(BACKENDS[backend])

    def connection() -> Any:
        """A backend, as Django makes one for each call."""
        return kind(alias="default", host="127.0.0.1", port=port)

    text = "It is on its way, and will be with you tomorrow.\n" * 20

    def messages(number: int) -> list[EmailMessage]:
        return [
            EmailMessage("Your order", text, "a@example.com", [f"{each}@example.com"])
            for each in range(number)
        ]

    connection().send_messages(messages(20))
    letters = messages(MESSAGES)
    cpu, wall = time.process_time(), time.perf_counter()
    if how == "together":
        connection().send_messages(letters)
    else:
        for letter in letters:
            connection().send_messages([letter])
    json.dump({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}, sys.stdout)


def measure(backend: str, how: str, port: int) -> dict[str, float]:
    command = [sys.executable, "-m", __spec__.name, "--child", backend, how, str(port)]
    found: dict[str, float] = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        backend, how, port = options.child
        child(backend, how, int(port))
        return
    if importlib.util.find_spec("django") is None:
        print("Not measured: Django is not installed")
        return
    try:
        with sink() as port:
            for how in ("together", "one by one"):
                found: dict[str, list[dict[str, float]]] = {backend: [] for backend in BACKENDS}
                for _ in range(options.rounds):
                    for backend, figures in found.items():
                        figures.append(measure(backend, how, port))
                for backend, figures in found.items():
                    cpu, wall = (median(each[name] for each in figures) for name in ("cpu", "wall"))
                    print(f"{MESSAGES} messages {how}, {backend}: {cpu:.2f} s of CPU, {wall:.2f} s of time")
    except Missing as reason:
        print(f"Not measured: {reason}")


if __name__ == "__main__":
    main()
