"""What goes out most: plain text, to a person, about one thing."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage

__all__ = ("LETTERS", "DATE", "head")

DATE = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=1)))


def head(sender: str, to: str, subject: str, number: int) -> EmailMessage:
    """A message with the fields that every one has."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = DATE + timedelta(minutes=number)
    message["Message-ID"] = f"<2026112309{number:04}.7F3A{number:04}@mail.example.com>"
    return message


def password_reset() -> EmailMessage:
    message = head(
        "Example Accounts <no-reply@accounts.example.com>", "jane.doe@example.org", "Reset your password", 1
    )
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(
        "Hello Jane,\n\n"
        "somebody, hopefully you, asked for a new password for your account. To choose one, open\n\n"
        "https://accounts.example.com/reset?token=4f5d8a1c9be24f06a3a7d0f1f3b5c7e9&user=jane.doe\n\n"
        "within the next 30 minutes. If it was not you, you need not do anything.\n\n"
        "-- \nExample Accounts\n"
    )
    return message


def two_kibibytes() -> EmailMessage:
    """The plain 2 KiB of the benchmarks."""
    message = head("Sender <sender@example.com>", "Recipient <recipient@example.org>", "A short report", 2)
    line = "The quick brown fox jumps over the lazy dog, and nobody minds at all.\n"
    message.set_content(line * (2048 // len(line)))
    return message


def ticket() -> EmailMessage:
    message = head(
        "Ops Desk <desk@support.example.com>",
        "Jane Doe <jane.doe@example.org>",
        "[OPS-4711] (Resolved) Mail to example.net is delayed since this morning",
        3,
    )
    message["Cc"] = "Watchers of OPS-4711 <ops-4711@support.example.com>, john@example.org"
    message["Reply-To"] = "Ops Desk <ops-4711+reply@support.example.com>"
    message["In-Reply-To"] = "<ticket.4711.7@support.example.com>"
    message["References"] = "<ticket.4711@support.example.com> <ticket.4711.7@support.example.com>"
    message["Precedence"] = "bulk"
    message["X-Ticket-Fingerprint"] = "9a0364b9e99bb480dd25e1f0284c8555"
    message["X-Ticket-Priority"] = "High"
    message["List-Id"] = "<ops.support.example.com>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        "    [ https://support.example.com/OPS-4711 ]\n\n"
        "Max Müller resolved OPS-4711.\n----------------------------\n"
        "    Resolution: Fixed\n\n"
        "> Mail to example.net is delayed since this morning.\n\n"
        "Their greylisting was told about our new addresses – thanks for your patience!\n\n"
        "--\nThis message was sent by the desk (v9.12.0#912000)\n"
    )
    return message


def list_reply() -> EmailMessage:
    message = head(
        "Robin Example <robin@example.org>",
        "dev@lists.example.net",
        "Re: [dev] Proposal: drop the old parser, and what it would take to keep its tests",
        4,
    )
    ancestors = [
        f"<CAF{number:03}x{number * 7919:08d}@mail.example.{domain}>"
        for number in range(9)
        for domain in ("org", "net")
    ]
    message["In-Reply-To"] = ancestors[-1]
    message["References"] = " ".join(ancestors)
    message["Cc"] = "Kim <kim@example.com>, Sasha P <sasha@example.net>, dev-request@lists.example.net"
    message["User-Agent"] = "Mutt/2.2.9 (2022-11-12)"
    message["X-Mailman-Version"] = "3.3.9"
    message["List-Id"] = "Developers <dev.lists.example.net>"
    message["List-Archive"] = "<https://lists.example.net/archives/list/dev@lists.example.net/>"
    message["List-Post"] = "<mailto:dev@lists.example.net>"
    message.set_content(
        "On Mon, Nov 23, 2026 at 08:01:22AM +0000, Kim wrote:\n"
        "> On Sun, Nov 22, 2026, Sasha wrote:\n>> From what I can see nobody uses it.\n"
        ">> .\n> Not nobody: the importer does.\n\n"
        "From my side +1, if the tests stay. The ones of the importer are listed in\n"
        "..\n.gitlab-ci.yml\n\nand they take a minute.\n\nRobin\n"
    )
    return message


def one_hundred_kibibytes() -> EmailMessage:
    """The plain 100 KiB of the benchmarks: a log."""
    message = head("Cron <cron@host7.example.com>", "ops@example.com", "Log of the night of host7", 5)
    lines = (
        f"2026-11-23T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z host7 job[{n % 977}]: step {n} done\n"
        for n in range(4000)
    )
    text = ""
    for line in lines:
        if len(text) + len(line) > 100 << 10:
            break
        text += line
    message.set_content(text)
    return message


LETTERS: Mapping[str, Callable[[], EmailMessage]] = {
    "password reset": password_reset,
    "plain 2 KiB": two_kibibytes,
    "ticket": ticket,
    "reply on a list": list_reply,
    "plain 100 KiB": one_hundred_kibibytes,
}
