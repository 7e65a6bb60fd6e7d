"""The standard library's smtplib as a client to measure: a thread for each connection."""

import platform
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor

from common import SENDER, Stopwatch, built, options, recipients


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--messages", action="store_true", help="message objects, by send_message")
    parser.add_argument("--each", action="store_true", help="a connection for each message")
    given = parser.parse_args()
    text, to = given.message.read_bytes(), recipients(given.recipients)
    context = ssl.create_default_context(cafile=given.cafile) if given.cafile else None

    def connect() -> smtplib.SMTP:
        if context is None:
            client = smtplib.SMTP("127.0.0.1", given.port, "client")
        else:
            client = smtplib.SMTP_SSL("127.0.0.1", given.port, "client", context=context)
        client.ehlo()
        return client

    clients = [connect() for _ in range(given.connections)]

    message = built(text, to, 0) if given.messages else None

    def send(client: smtplib.SMTP, times: int) -> None:
        for _ in range(times):
            if given.each:
                with connect() as each:
                    assert not each.sendmail(SENDER, to, text)
                continue
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
