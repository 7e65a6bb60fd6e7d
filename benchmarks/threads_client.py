"""Ten threads that send, and the CPU of their process: ``benchmarks.threads`` starts this file by its path.

Nothing else of this repository is imported here but the package.
"""

import json
import smtplib
import sys
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage

from aiosmtplib import blocking

SENDER, RECIPIENT = "sender@example.com", "recipient@example.org"
THREADS = 10
WARM_UP = 20


def message() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, RECIPIENT, "Your order has been sent"
    message.set_content("It is on its way, and will be with you tomorrow.\n" * 20)
    return message


def by_smtplib(port: int, objects: bool) -> Callable[[int], None]:
    """Each thread has a connection, and keeps it."""
    local = threading.local()
    letter, octets = message(), message().as_bytes()

    def send(times: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client") as local.client:
            for _ in range(times):
                if objects:
                    local.client.send_message(letter, SENDER, [RECIPIENT])
                else:
                    local.client.sendmail(SENDER, [RECIPIENT], octets)

    return send


def by_pool(port: int, objects: bool) -> Callable[[int], None]:
    pool = blocking.SMTPPool("127.0.0.1", port=port, local_hostname="client", max_connections=THREADS)
    letter, octets = message(), message().as_bytes()

    def send(times: int) -> None:
        for _ in range(times):
            if objects:
                pool.send_message(letter, SENDER, [RECIPIENT])
            else:
                pool.sendmail(SENDER, [RECIPIENT], octets)

    return send


def run(send: Callable[[int], None], times: int) -> None:
    threads = [threading.Thread(target=send, args=(times,)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(who: str, what: str, port: str, times: str) -> None:
    send = {"smtplib": by_smtplib, "pool": by_pool}[who](int(port), what == "objects")
    run(send, WARM_UP)
    cpu, wall = time.process_time(), time.perf_counter()
    run(send, int(times))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    messages = THREADS * int(times)
    json.dump({"cpu": cpu / messages, "wall": wall / messages}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
