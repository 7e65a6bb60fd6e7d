"""Ten threads send over at most four connections, which they share."""

import os
from concurrent.futures import ThreadPoolExecutor

from aiosmtplib import Envelope, blocking

PORT = int(os.environ.get("SMTP_PORT", "1025"))


def main() -> None:
    with blocking.SMTPPool("localhost", port=PORT, max_connections=4) as pool:

        def welcome(address: str) -> None:
            pool.sendmail("me@example.com", address, "Subject: Welcome\n\nGood to have you.\n")

        with ThreadPoolExecutor(10) as threads:
            list(threads.map(welcome, [f"you+{number}@example.com" for number in range(50)]))

        news = (
            Envelope("me@example.com", f"you+{number}@example.com", "Subject: News\n\nThere is some.\n")
            for number in range(50)
        )
        for result in pool.send_many(news):
            if not result.ok:
                print(result.index, result.delivery.value, result.error)
        print(pool.stats().sent, "sent")


if __name__ == "__main__":
    main()
