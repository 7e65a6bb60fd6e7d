"""Names that the serialiser's two twins share with the rules they are given (``_message/rules.py``)."""

from typing import Final

#: How the body of a part is written.
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

#: What a message is written as: what the generator writes; for DATA; for BDAT.
PLAIN: Final = 0
DATA: Final = 1
CHUNK: Final = 2

#: The fields that are for the sender's eyes alone (RFC 5322 section 3.6.3).
BCC_FIELDS: Final = frozenset({"bcc", "resent-bcc"})

#: Parts within parts. What goes deeper is left to the generator, which knows an end to that.
MAX_DEPTH: Final = 50
