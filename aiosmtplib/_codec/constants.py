"""Names that the serialiser's two twins share with the rules they are given (``_message/rules.py``)."""

from __future__ import annotations

from typing import Final

#: Kinds of bodies of a part.
BODY: Final = 0
MULTIPART: Final = 1
SIGNED: Final = 2  # a multipart within which nothing is folded (RFC 1847 section 2.1)
MESSAGE: Final = 3
DELIVERY_STATUS: Final = 4  # blocks of header fields (RFC 3464 section 2.1)

#: The classes of header objects whose text is that of their parse tree, and where long ones are folded.
TEXT: Final = 1  # at white space, if they are unstructured
DATE: Final = 2  # never so long
ADDRESSES: Final = 3  # between addresses. The text is the tree's: that of the value is normalised.
PARAMETERS: Final = 4  # between parameters

#: The rules by which encoded words are folded (RFC 2047): unknown; of Python up to 3.12; of 3.13.1 and later.
OTHER_WORDS: Final = 0
OLDER_WORDS: Final = 1
NEWER_WORDS: Final = 2

#: Forms of a serialised message: that of the generator; for DATA; for BDAT.
PLAIN: Final = 0
DATA: Final = 1
CHUNK: Final = 2

#: Fields that are not sent (RFC 5322 section 3.6.3).
BCC_FIELDS: Final = frozenset({"bcc", "resent-bcc"})

#: Levels of parts within parts. Deeper messages are left to the generator, which has a limit of its own.
MAX_DEPTH: Final = 50
