"""The standard library's smtplib as a client to measure: a thread for each connection."""

import platform
import smtplib
from concurrent.futures import ThreadPoolExecutor

from common import SENDER, Stopwatch, built, options, recipients


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--messages", action="store_true", help="message objects, by send_message")
    given = parser.parse_args()
    text, to = given.message.read_bytes(), recipients(given.recipients)
    clients = [smtplib.SMTP("127.0.0.1", given.port, "client") for _ in range(given.connections)]
    for client in clients:
        client.ehlo()

    message = built(text, to, 0) if given.messages else None

    def send(client: smtplib.SMTP, times: int) -> None:
        for _ in range(times):
            refused = client.send_message(message) if message else client.sendmail(SENDER, to, text)
            assert not refused

    with ThreadPoolExecutor(len(clients)) as threads:
        list(threads.map(send, clients, [given.warm_up] * len(clients)))
        watch = Stopwatch()
        list(threads.map(send, clients, [given.times] * len(clients)))
        watch.report(given.times * given.connections, platform.python_version())
    for client in clients:
        client.quit()


if __name__ == "__main__":
    main()
