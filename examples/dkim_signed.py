"""A message that is signed with DKIM before it is sent."""

import asyncio
import os
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
from aiosmtplib.contrib.dkim import Signer

PORT = int(os.environ.get("SMTP_PORT", "1025"))
signer = Signer("2026", "example.com", Path("dkim.pem").read_bytes())


async def main() -> None:
    message = EmailMessage()
    message["From"] = "me@example.com"
    message["To"] = "you@example.com"
    message["Subject"] = "Grüße"
    message.set_content("Schöne Grüße!\n")
    async with aiosmtplib.SMTP("localhost", PORT) as client:
        await client.sendmail("me@example.com", "you@example.com", signer(message))
    print(signer)


if __name__ == "__main__":
    asyncio.run(main())
