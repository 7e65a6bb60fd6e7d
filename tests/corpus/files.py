"""The files in the mails: small, and really what they say they are."""

import struct
import zlib

__all__ = ("calendar", "pdf", "png")


def pdf(title: str, pages: int = 1) -> bytes:
    """A PDF with one line on each page."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(pages))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number in range(pages):
        stream = f"BT /F1 18 Tf 72 770 Td ({title}, page {number + 1}) Tj ET"
        objects += [
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    text, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(text))
        text += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    return (
        text
        + (
            f"xref\n0 {size}\n0000000000 65535 f \n{table}"
            f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(text)}\n%%EOF\n"
        ).encode()
    )


def png(shade: int) -> bytes:
    """A picture of 32 by 32 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * y + 40 * shade) % 256 for x in range(32)) for y in range(32))
    header = struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def calendar() -> str:
    """An invitation (RFC 5545, RFC 5546)."""
    return "\r\n".join(
        [
            "BEGIN:VCALENDAR",
            "PRODID:-//Example//Calendar//EN",
            "VERSION:2.0",
            "METHOD:REQUEST",
            "BEGIN:VEVENT",
            "UID:20261127T090000Z-4711@example.org",
            "DTSTAMP:20261123T093000Z",
            "DTSTART:20261127T090000Z",
            "DTEND:20261127T100000Z",
            "SUMMARY:Review of the release",
            'ORGANIZER;CN="Robin Example":mailto:robin@example.org',
            "ATTENDEE;RSVP=TRUE;PARTSTAT=NEEDS-ACTION:mailto:jane.doe@example.org",
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        ]
    )
