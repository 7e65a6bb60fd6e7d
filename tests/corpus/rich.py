"""Mails with something in them: files, pictures, an appointment."""

from collections.abc import Callable, Mapping
from email.message import EmailMessage

from .everyday import head
from .files import calendar, pdf, png

__all__ = ("LETTERS",)


def _html(title: str, paragraphs: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title></head>\n<body>\n{paragraphs}</body></html>\n"
    )


def invoice() -> EmailMessage:
    message = head(
        "Example GmbH Billing <billing@example.com>",
        "Jane Doe <jane.doe@example.org>",
        "Your invoice 2026-11-0815",
        21,
    )
    message["Bcc"] = "archive@example.com"
    message.set_content(
        "Dear customer,\n\nplease find attached your invoice over 119,00 €.\n\nExample GmbH\n"
    )
    message.add_attachment(
        pdf("Invoice 2026-11-0815"),
        maintype="application",
        subtype="pdf",
        filename="invoice-2026-11-0815.pdf",
    )
    return message


def attachment_of_30_kilobytes() -> EmailMessage:
    """Text, HTML and an attachment of 30 KB, as the benchmarks have it."""
    message = head(
        "Reports <reports@example.com>", "Board <board@example.org>", "The figures of November", 22
    )
    message.set_content("The figures are attached.\n" * 20)
    message.add_alternative(
        _html("Figures", "<p>The figures are <b>attached</b>.</p>\n" * 20), subtype="html"
    )
    octets = bytes(number * number * 31 % 251 for number in range(30_000))
    message.add_attachment(octets, maintype="application", subtype="vnd.ms-excel", filename="november.xls")
    return message


def invitation() -> EmailMessage:
    message = head(
        "Robin Example <robin@example.org>",
        "Jane Doe <jane.doe@example.org>",
        "Invitation: Review of the release @ Fri 27 Nov 2026",
        23,
    )
    message.set_content("Review of the release\nFri 27 Nov 2026, 10:00 - 11:00 (CET)\n")
    message.add_alternative(
        _html("Invitation", "<p>Review of the release, <i>Fri 27 Nov</i></p>\n"), subtype="html"
    )
    message.add_alternative(calendar(), subtype="calendar", params={"method": "REQUEST"})
    message.add_attachment(calendar().encode(), maintype="application", subtype="ics", filename="invite.ics")
    return message


def order() -> EmailMessage:
    message = head(
        "Example Shop <orders@shop.example.com>",
        '"Doe, Jane" <jane.doe@example.org>',
        "Your order 100-2026-4711 is on its way",
        24,
    )
    message["Reply-To"] = "orders+100-2026-4711@shop.example.com"
    message["X-Order"] = "100-2026-4711"
    message.set_content(
        "Thank you, Jane!\n\n1 x Kettle, blue    29,90 €\n1 x Teapot          19,00 €\n\nTotal 48,90 €\n"
    )
    message.add_alternative(
        _html(
            "Order",
            "<h1>Thank you, Jane!</h1>\n<table>\n"
            + "<tr><td>1 × Kettle, blue</td><td>29,90 €</td></tr>\n" * 12
            + "</table>\n",
        ),
        subtype="html",
    )
    return message


def pictures() -> EmailMessage:
    """HTML with images that it shows (RFC 2387)."""
    message = head(
        "Example Travel <offers@travel.example.com>",
        "jane.doe@example.org",
        "Three places to be in spring",
        25,
    )
    message.set_content("See https://travel.example.com/spring\n")
    message.add_alternative(
        _html(
            "Spring",
            "".join(
                f'<p><img src="cid:place{n}@travel.example.com" alt="Place {n}"></p>\n' for n in range(3)
            ),
        ),
        subtype="html",
    )
    html = message.get_payload()[1]
    for number in range(3):
        html.add_related(
            png(number),
            maintype="image",
            subtype="png",
            cid=f"<place{number}@travel.example.com>",
            disposition="inline",
            filename=f"place{number}.png",
        )
    return message


def scanned() -> EmailMessage:
    """A scanner's mail: hardly a text, one large file with a name of its own making."""
    message = head(
        "Scanner 3rd floor <scanner@example.com>", "jane.doe@example.com", "Message from scanner", 26
    )
    message["X-Mailer"] = "KMBT_C224"
    message.set_content(
        "DEVICE NAME: Scanner 3rd floor\nFILE FORMAT: PDF MMR(G4)\nRESOLUTION: 300dpi x 300dpi\n"
    )
    message.add_attachment(
        pdf("Scan", pages=40),
        maintype="application",
        subtype="pdf",
        filename="SKMBT_C22426112309300 (Übersicht).pdf",
    )
    return message


LETTERS: Mapping[str, Callable[[], EmailMessage]] = {
    "invoice": invoice,
    "text, HTML and 30 KB": attachment_of_30_kilobytes,
    "invitation": invitation,
    "order": order,
    "pictures": pictures,
    "scan": scanned,
}
