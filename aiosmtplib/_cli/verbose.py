"""Shows the SMTP dialogue to a person, without showing secrets, whole messages or terminal tricks.

``--verbose`` prints what goes over the wire. People paste that into tickets, so this is the one place that
decides what may be seen. It trusts nobody: what it cannot recognise as an SMTP command is not shown, a server
that echoes a secret is masked, and control characters are spelled out.
"""

import base64
from collections import deque
from collections.abc import Callable

__all__ = ("Dialogue", "Secrets", "one_line")

HIDDEN = "<hidden>"

#: A line that starts with none of these is an answer to a challenge, or out of step: it is not shown.
VERBS = frozenset(b"EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT STARTTLS AUTH".split())

#: No reply has such a long line (RFC 5321 section 4.5.3.1.5), no terminal wants to show one.
MAX_SHOWN = 500


def one_line(text: str) -> str:
    """Text from elsewhere, fit for one line of a terminal: controls spelled out, line ends as ``/``."""
    text = " / ".join(part.strip() for part in text.splitlines())
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class Secrets:
    """What must never be printed: passwords, tokens, and the forms in which SASL sends them."""

    def __init__(self) -> None:
        self._forms: set[str] = set()

    def protect(self, value: str, username: str = "") -> None:
        """Hide a password or token, on its own and as it is encoded together with ``username``."""
        # An error message may quote what it complains about.
        octets = value.encode("utf-8", "surrogateescape")
        self._forms |= {value, repr(value)[1:-1], repr(octets)[2:-1]}
        for form in (
            value,
            f"\0{username}\0{value}",  # PLAIN, RFC 4616 section 2
            f"{username}\0{username}\0{value}",
            f"user={username}\1auth=Bearer {value}\1\1",  # XOAUTH2
        ):
            self.add(base64.b64encode(form.encode("utf-8", "surrogateescape")).decode("ascii"))

    def add(self, form: str) -> None:
        """Hide one more string, as it is. Very short ones would only tell where they are."""
        if len(form) >= 4:
            self._forms.add(form)

    def mask(self, text: str) -> str:
        """The text with every secret in it replaced."""
        # Longest first: one form may be part of another.
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, HIDDEN)
        return text


class Dialogue:
    """Turns what was written and read into lines that may be shown.

    Called with ``("C", bytes)`` and ``("S", bytes)`` for each write and read, in any chunks.

    :param show: is given one line at a time, without line end
    :param secrets: is told of every credential seen on the way
    """

    def __init__(self, show: Callable[[str], None], secrets: Secrets) -> None:
        self._show = show
        self._secrets = secrets
        self._unfinished = {"C": bytearray(), "S": bytearray()}
        self._waiting: deque[bytes] = deque()  # verbs whose final reply has not come
        self._content: _Content | None = None

    def __call__(self, side: str, data: bytes) -> None:
        buffer = self._unfinished[side]
        buffer += data
        while buffer:
            if side == "C" and self._content is not None:
                if not self._content.take(buffer):
                    return
                self._end_of_content(self._content)
                self._content = None
                continue
            end = buffer.find(b"\n")
            if end < 0:
                return
            line = bytes(buffer[:end]).removesuffix(b"\r")
            del buffer[: end + 1]
            (self._command if side == "C" else self._reply)(line)

    def close(self) -> None:
        """Show what was broken off: a reply without line end, a message without its end."""
        if rest := bytes(self._unfinished["S"]):
            self._print("S", rest + b" (cut off)")
        if self._content is not None:
            self._content.break_off(self._unfinished["C"])
            self._end_of_content(self._content)

    def _command(self, line: bytes) -> None:
        verb, *words = line.split(b" ")
        verb = verb.upper()
        if verb not in VERBS or (self._waiting and self._waiting[-1] == b"AUTH"):
            # The lines between AUTH and its final reply are credentials (RFC 4954 section 4).
            self._secrets.add(line.decode("latin-1"))
            self._print("C", HIDDEN.encode())
            return
        self._waiting.append(verb)
        if verb == b"AUTH":
            for word in words[1:]:
                self._secrets.add(word.decode("latin-1"))
            line = b" ".join([verb, *words[:1], *[HIDDEN.encode() for _ in words[1:2]]])
        self._print("C", line)
        if verb == b"BDAT" and words and words[0].isdigit() and (size := int(words[0])):
            self._content = _Content(size)

    def _reply(self, line: bytes) -> None:
        self._print("S", line)
        if line[3:4] == b"-" or not self._waiting:
            return
        if self._waiting[0] == b"AUTH" and line.startswith(b"334"):
            return
        verb = self._waiting.popleft()
        if verb == b"DATA" and line.startswith(b"354"):
            self._content = _Content()
            self._waiting.append(b".")

    def _end_of_content(self, content: "_Content") -> None:
        if content.first:
            self._print("C", content.first)
        ending = "" if content.complete else ", broken off"
        self._print("C", f"... ({content.size} bytes in all{ending})".encode())
        if content.complete and content.left is None:
            self._print("C", b".")

    def _print(self, side: str, line: bytes) -> None:
        # Masked before anything else changes it: a secret has to be found as it is.
        text = one_line(self._secrets.mask(line.decode("utf-8", "backslashreplace")))
        self._show(f"{side}: {text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + '...'}")


class _Content:
    """Message text on its way: after 354 up to the lone dot, or the octets that BDAT announced (RFC 3030).

    :param left: how many octets are still to come, or ``None`` where a dot ends them
    """

    def __init__(self, left: int | None = None) -> None:
        self.left = left
        self.size = 0
        self.first = b""
        self.complete = False

    def take(self, buffer: bytearray) -> bool:
        """Consume what belongs to the message; tell whether it is complete."""
        if self.left is not None:
            part = len(buffer[: self.left])
            del buffer[:part]
            self.left -= part
            self.size += part
            self.complete = self.left == 0
        while self.left is None and not self.complete and (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[: end + 1])
            del buffer[: end + 1]
            if line == b".\r\n":
                self.complete = True
            else:
                self._count(line)
        return self.complete

    def break_off(self, buffer: bytearray) -> None:
        """Count what came of the last line."""
        self._count(bytes(buffer))

    def _count(self, line: bytes) -> None:
        if not self.size:
            self.first = line.rstrip()
        self.size += len(line)
