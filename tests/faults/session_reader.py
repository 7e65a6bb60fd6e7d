"""What a correct reader makes of a session: the commands that a client wrote, and the replies that it got.

Damaged bytes can turn a refusal into a success. No client can know, so that its verdict is not wrong if this
reader comes to the same. It knows nothing of the client: it pairs replies with commands, one for one and in
order, as RFC 5321 section 4.2 and RFC 2920 section 3 have it.
"""

import re
from dataclasses import dataclass, field

from aiosmtplib import Delivery

__all__ = ("conclusions", "replies_of")

_LINE = re.compile(rb"([2-5]\d\d)(?:([ -]).*)?\Z", re.DOTALL)


def replies_of(got: bytes) -> list[int]:
    """The codes of the replies, up to the first that is none, is not complete, or says goodbye."""
    codes: list[int] = []
    open_code: bytes | None = None
    *lines, _ = got.split(b"\n")
    for line in lines:
        match = _LINE.match(line.removesuffix(b"\r"))
        if match is None or open_code not in (None, match[1]):
            break
        if match[2] == b"-":
            open_code = match[1]
            continue
        open_code = None
        codes.append(int(match[1]))
        if codes[-1] == 421:
            break
    return codes


@dataclass
class _Transaction:
    mail: int | None
    recipients: list[tuple[str, int | None]] = field(default_factory=list)
    data: int | None = 354
    ended: bool = False
    finals: list[int | None] = field(default_factory=list)

    def verdicts(self) -> set[Delivery]:
        """Those that can be defended."""
        found: set[Delivery] = set()
        answers = [code for _, code in self.recipients if code is not None]
        finals = [code for code in self.finals if code is not None]
        codes = [self.mail, self.data, *answers, *finals]
        if any(code is not None and 200 <= code < 300 for code in finals):
            found.add(Delivery.DELIVERED)
        refused = bool(answers) and not any(200 <= code < 300 for code in answers)
        if (
            refused
            or self.mail not in (None, 250)
            or self.data not in (None, 354)
            or any(code >= 300 for code in finals)
        ):
            found.add(Delivery.REJECTED)
        if not self.ended or 421 in codes:
            found.add(Delivery.NOT_SENT)
        if self.ended and len(finals) < len(self.finals):
            found.add(Delivery.UNKNOWN)
        return found


class _Reader:
    def __init__(self, sent: bytes, got: bytes, lmtp: bool) -> None:
        self.rest = sent
        self.lmtp = lmtp
        self.codes = replies_of(got)[1:]  # the first is the greeting
        self.transaction: _Transaction | None = None
        self.found: dict[str, set[Delivery]] = {}

    def code(self) -> int | None:
        return self.codes.pop(0) if self.codes else None

    def line(self) -> bytes | None:
        line, end, rest = self.rest.partition(b"\r\n")
        if not end:
            return None
        self.rest = rest
        return line

    def read(self) -> None:
        while (line := self.line()) is not None:
            verb, _, rest = line.partition(b" ")
            address = rest[rest.find(b"<") + 1 : rest.find(b">")].decode("latin-1")
            if verb == b"MAIL":
                self.close()
                self.transaction = _Transaction(self.code())
            elif verb == b"RCPT" and self.transaction is not None:
                self.transaction.recipients.append((address, self.code()))
            elif verb == b"DATA" and self.transaction is not None:
                self._data(self.transaction)
            elif verb == b"BDAT" and self.transaction is not None:
                self._bdat(self.transaction, rest)
            else:
                code = self.code()
                while verb == b"AUTH" and code == 334 and self.line() is not None:
                    code = self.code()
        self.close()

    def _data(self, transaction: _Transaction) -> None:
        transaction.data = self.code()
        if transaction.data == 354:
            start = 0 if self.rest.startswith(b".\r\n") else self.rest.find(b"\r\n.\r\n")
            transaction.ended = start >= 0
            self.rest = self.rest[start + (5 if start else 3) :] if transaction.ended else b""
            self._finals(transaction)

    def _bdat(self, transaction: _Transaction, rest: bytes) -> None:
        size, _, last = rest.partition(b" ")
        complete = len(self.rest) >= int(size)
        self.rest = self.rest[int(size) :]
        if last and complete:
            transaction.ended = True
            self._finals(transaction)
        elif complete and (code := self.code()) is not None and code >= 300:
            transaction.data = code

    def _finals(self, transaction: _Transaction) -> None:
        accepted = [code for _, code in transaction.recipients if code is not None and 200 <= code < 300]
        count = len(accepted) if self.lmtp else 1
        transaction.finals = [self.code() for _ in range(count)] if transaction.ended else []

    def close(self) -> None:
        if self.transaction is not None:
            for recipient, _ in self.transaction.recipients:
                self.found.setdefault(recipient, set()).update(self.transaction.verdicts())
        self.transaction = None


def conclusions(sent: bytes, got: bytes, lmtp: bool) -> dict[str, set[Delivery]]:
    """For each recipient that the client named, the verdicts on its message that can be defended."""
    reader = _Reader(sent, got, lmtp)
    reader.read()
    return reader.found
