"""What programs tell programs, and people: the newsletter, reports, notifications, and signed mail."""

from collections.abc import Callable, Mapping
from email.message import EmailMessage, Message

from .everyday import head, ticket

__all__ = ("LETTERS", "newsletter")


def _signature(domain: str, number: int) -> str:
    line = "dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR"
    # Signers break the signature into lines, and who puts it into a message has blanks for them.
    value = " ".join([line[number:], line, line, line, line, line[:number]])
    return (
        f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=s{number}; t=1795510000; "
        "h=from:to:subject:date:message-id:list-unsubscribe:mime-version:content-type; "
        f"bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b={value}"
    )


def newsletter() -> EmailMessage:
    """As it comes out of three relays and two lists: 200 header fields."""
    message = EmailMessage()
    for hop in range(9, 0, -1):
        message["Received"] = (
            f"from out{hop}.news.example.com (out{hop}.news.example.com [198.51.100.{hop}]) "
            f"by in{hop}.example.net (Postfix) with ESMTPS id 4F{hop}XyZ for <jane.doe@example.org>; "
            f"Mon, 23 Nov 2026 08:{hop:02}:11 +0000 (UTC)"
        )
    for instance in (3, 2, 1):
        message["ARC-Seal"] = (
            f"i={instance}; a=rsa-sha256; t=179551000{instance}; cv=pass; d=example.net; s=arc-2026; "
            "b=" + " ".join(["QUFBQkJCQ0NDREREZWVlZmZmZ2dnaGhoaWlpampqa2trbGxsbW1tbm5ub29v"] * 5)
        )
        message["ARC-Message-Signature"] = f"i={instance}; " + _signature("example.net", instance)
        message["ARC-Authentication-Results"] = (
            f"i={instance}; mx.example.net; dkim=pass header.i=@news.example.com header.s=s1 "
            "header.b=dzdVyOfA; spf=pass (mx.example.net: domain of bounce@news.example.com designates "
            "198.51.100.7 as permitted sender) smtp.mailfrom=bounce@news.example.com; dmarc=pass (p=REJECT)"
        )
    message["Authentication-Results"] = "mx.example.org; arc=pass (i=3); dkim=pass header.d=news.example.com"
    message["DKIM-Signature"] = _signature("news.example.com", 4)
    message["DKIM-Signature"] = _signature("esp.example.net", 5)
    body = head(
        "The Weekly Example <weekly@news.example.com>",
        "jane.doe@example.org",
        "Your week in examples: №47 is here",
        11,
    )
    for name, value in body.items():
        message[name] = value
    message["Reply-To"] = "The Weekly Example <editors@news.example.com>"
    message["Sender"] = "Example Mailer <mailer@esp.example.net>"
    message["List-Id"] = "The Weekly Example <weekly.news.example.com>"
    message["List-Help"] = "<https://news.example.com/help>"
    message["List-Subscribe"] = "<https://news.example.com/subscribe?list=weekly>"
    message["List-Unsubscribe"] = (
        "<https://news.example.com/u/4f5d8a1c9be24f06a3a7d0f1f3b5c7e94f5d8a1c9be24f06/one-click>, "
        "<mailto:unsubscribe+4f5d8a1c9be24f06@news.example.com?subject=unsubscribe>"
    )
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["List-Owner"] = "<mailto:owner@news.example.com> (The editors)"
    message["List-Archive"] = "<https://news.example.com/archive/>"
    message["List-Post"] = "NO (posting not allowed on this list)"
    message["Precedence"] = "bulk"
    message["Feedback-ID"] = "weekly:47:news:esp"
    message["X-Report-Abuse"] = "Please report abuse to https://esp.example.net/abuse?c=4711&m=47&r=815"
    while len(message) < 198:
        number = len(message)
        message[f"X-Esp-Track-{number}"] = f"segment={number % 7}; cell={number * 31 % 101}; key=k{number:06}"
    message.set_content(
        "Your week in examples\n=====================\n\n"
        + "* An example of an item, with a link: https://news.example.com/i/815\n" * 30
        + "\nYou get this because you asked for it.\n"
    )
    message.add_alternative(
        "<!DOCTYPE html>\n<html><head><title>Your week in examples</title></head><body>\n"
        + '<p><a href="https://news.example.com/i/815">An example of an item</a> – worth a read.</p>\n' * 30
        + "</body></html>\n",
        subtype="html",
    )
    return message


def ci_notification() -> EmailMessage:
    message = head(
        "Robin Example <notifications@ci.example.com>",
        "example/project <project@noreply.ci.example.com>",
        "[example/project] Run failed: Tests - main (4f5d8a1)",
        12,
    )
    message["Cc"] = "Ci activity <ci_activity@noreply.ci.example.com>"
    message["Reply-To"] = "example/project <project@noreply.ci.example.com>"
    message["In-Reply-To"] = (
        "<example/project/check-suites/CS_kwDOABCDEF8AAAAJz1234/1795510001@ci.example.com>"
    )
    message["List-ID"] = "example/project <project.example.ci.example.com>"
    message["List-Archive"] = "https://ci.example.com/example/project"
    message["List-Unsubscribe"] = (
        "<https://ci.example.com/notifications/unsubscribe-auth/AAB4F5D8A1C9BE24F06A3A7D0F1F>"
    )
    message["X-CI-Sender"] = "robin"
    message["X-CI-Reason"] = "ci_activity"
    message.set_content(
        "[example/project] Tests workflow run\n\nRepository: example/project\n"
        "Duration: 3 minutes and 12.0 seconds\n\n"
        "View results: https://ci.example.com/example/project/actions/runs/1234567890\n\n"
        "Jobs:\n  * Tests / linux (3.13) failed (1 annotation)\n"
        "  * Tests / macos (3.13) succeeded (0 annotations)\n\n"
        "-- \nYou are receiving this because you are subscribed to this thread.\n"
    )
    message.add_alternative(
        "<h3>[example/project] Tests workflow run</h3>\n"
        "<table><tr><td>linux (3.13)</td><td>failed</td></tr></table>\n",
        subtype="html",
    )
    return message


def delivery_report() -> EmailMessage:
    """A delivery status notification (RFC 3464)."""
    message = head(
        "Mail Delivery System <MAILER-DAEMON@mx.example.com>",
        "sender@example.com",
        "Undelivered Mail Returned to Sender",
        13,
    )
    message["Auto-Submitted"] = "auto-replied"
    text = EmailMessage()
    text.set_content(
        "This is the mail system at host mx.example.com.\n\nYour message could not be delivered.\n\n"
        "<nobody@example.net>: host mx.example.net[203.0.113.25] said: 550 5.1.1\n"
        "    <nobody@example.net>: Recipient address rejected: User unknown (in reply to RCPT TO command)\n"
    )
    text["Content-Description"] = "Notification"
    status = Message()
    status["Content-Description"] = "Delivery report"
    status["Content-Type"] = "message/delivery-status"
    for fields in (
        {
            "Reporting-MTA": "dns; mx.example.com",
            "X-Queue-ID": "4F9XyZ",
            "Arrival-Date": "Mon, 23 Nov 2026 09:43:00 +0000",
        },
        {
            "Final-Recipient": "rfc822; nobody@example.net",
            "Action": "failed",
            "Status": "5.1.1",
            "Diagnostic-Code": "smtp; 550 5.1.1 <nobody@example.net>: Recipient rejected: User unknown",
        },
    ):
        block = Message()
        for name, value in fields.items():
            block[name] = value
        status.attach(block)
    original = EmailMessage()
    original["Content-Description"] = "Undelivered Message Headers"
    original.set_content(
        "From: Sender <sender@example.com>\nTo: nobody@example.net\nSubject: Are you there?\n",
        subtype="rfc822-headers",
    )
    message["Content-Type"] = "multipart/report; report-type=delivery-status"
    for part in (text, status, original):
        message.attach(part)
    message.preamble = "This is a MIME-encapsulated message.\n"
    message["MIME-Version"] = "1.0"
    return message


def signed() -> EmailMessage:
    """As S/MIME signs it (RFC 1847, RFC 8551); the signature is made up."""
    message = head(
        "Jane Doe <jane.doe@example.org>", "Notary <notary@example.com>", "The contract, signed", 14
    )
    text = EmailMessage()
    text.set_content("As agreed on the phone.\n\nFrom now on it is valid.\n")
    signature = EmailMessage()
    signature.set_content(
        bytes(range(256)) * 8,
        "application",
        "pkcs7-signature",
        disposition="attachment",
        filename="smime.p7s",
    )
    message["Content-Type"] = 'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256'
    message["MIME-Version"] = "1.0"
    message.preamble = "This is a cryptographically signed message in MIME format.\n"
    message.attach(text)
    message.attach(signature)
    return message


def forwarded() -> EmailMessage:
    message = head(
        "John Doe <john@example.org>",
        "Jane Doe <jane.doe@example.org>",
        "Fwd: [OPS-4711] Mail to example.net",
        15,
    )
    message.set_content("Is this yours?\n\nJohn\n")
    message.add_attachment(ticket())
    return message


LETTERS: Mapping[str, Callable[[], EmailMessage]] = {
    "newsletter": newsletter,
    "CI notification": ci_notification,
    "delivery report": delivery_report,
    "signed": signed,
    "forwarded": forwarded,
}
