"""One message, and then several over a pool, through the proxy that the environment names."""

import asyncio
import os
from email.message import EmailMessage

import aiosmtplib

PORT = int(os.environ.get("SMTP_PORT", "1025"))
PROXY = os.environ.get("SMTP_PROXY", "socks5://user:p%40ssword@127.0.0.1:1080")


def greeting(address: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "me@example.com"
    message["To"] = address
    message["Subject"] = "Hello"
    message.set_content("Hello!\n")
    return message


async def main() -> None:
    try:
        await aiosmtplib.send(greeting("you@example.com"), hostname="localhost", port=PORT, proxy=PROXY)
    except aiosmtplib.SMTPConnectError as error:
        raise SystemExit(str(error)) from error  # which says whether it was the proxy or the server

    async with aiosmtplib.SMTPPool("localhost", PORT, proxy=PROXY) as pool:
        print("connected to", (await pool.verify()).host)
        async for result in pool.send_many(greeting(f"you+{number}@example.com") for number in range(9)):
            result.raise_for_status()
        print(pool.stats().sent, "sent")


if __name__ == "__main__":
    asyncio.run(main())
