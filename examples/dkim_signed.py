"""Messages that are signed with DKIM as they are sent."""

import asyncio
import os
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
from aiosmtplib.contrib.dkim import Signer

PORT = int(os.environ.get("SMTP_PORT", "1025"))
signer = Signer("2026", "example.com", Path("dkim.pem").read_bytes())


def greeting(name: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "me@example.com"
    message["To"] = f"{name}@example.com"
    message["Subject"] = "Grüße"
    message.set_content(f"Schöne Grüße, {name}!\n")
    return message


async def main() -> None:
    # A server that adds a missing Date or Message-ID would break the signature.
    async with aiosmtplib.SMTPPool("localhost", PORT, before_send=signer, complete_headers=True) as pool:
        await pool.send(greeting("anna"))
        async for result in pool.send_many(map(greeting, ("ben", "cleo"))):
            result.raise_for_status()
    print(signer)


if __name__ == "__main__":
    asyncio.run(main())
