"""SASLprep (RFC 4013): normalization of user names and passwords before they are compared or hashed.

The Unicode tables of the standard library are imported with the first text that is not ASCII.
"""

from __future__ import annotations

_FORBIDDEN = "It holds a character that SASLprep forbids (RFC 4013 section 2.3)"


def saslprep(text: str, *, stored: bool) -> str:
    """Normalize a user name or password.

    :param stored: whether to refuse code points that Unicode 3.2 has not assigned, as for stored strings
        (RFC 3454 section 7)
    :raises ValueError: if it holds a forbidden character. The text does not quote it.
    """
    if text.isascii():  # SASLprep changes nothing in it
        if text.isprintable():
            return text
        del text
        raise ValueError(_FORBIDDEN)
    import stringprep
    import unicodedata

    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each for each in text if not stringprep.in_table_b1(each)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    forbidden = [
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
    ]
    if stored:
        forbidden.append(stringprep.in_table_a1)
    bad = any(table(each) for each in prepared for table in forbidden)
    if not bad and not _mixes_directions(prepared):
        return prepared
    del text, mapped, prepared  # or the frame of the error would hold the secret
    if bad:
        raise ValueError(_FORBIDDEN)
    raise ValueError("It mixes directions of writing as SASLprep forbids (RFC 4013 section 2.4)")


def _mixes_directions(text: str) -> bool:
    """Whether a text violates the rules for right-to-left characters (RFC 3454 section 6)."""
    import stringprep

    right_to_left = [stringprep.in_table_d1(each) for each in text]
    if not any(right_to_left):
        return False
    return any(map(stringprep.in_table_d2, text)) or not (right_to_left[0] and right_to_left[-1])
