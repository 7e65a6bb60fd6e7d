"""SASLprep (RFC 4013): two spellings of a name or password that look the same become the same octets.

The tables of the standard library are loaded with the first text that is not ASCII.
"""

_FORBIDDEN = "It holds a character that SASLprep forbids (RFC 4013 section 2.3)"


def saslprep(text: str, *, stored: bool) -> str:
    """Prepare a user name or password.

    :param stored: refuse code points that Unicode 3.2 has not assigned, as for stored strings (RFC 3454
        section 7)
    :raises ValueError: if it holds what must not be in one. The text does not repeat it.
    """
    if text.isascii():  # which nothing of what follows would change
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
    del text, mapped, prepared  # they are not to be seen in the frame of an error
    if bad:
        raise ValueError(_FORBIDDEN)
    raise ValueError("It mixes directions of writing as SASLprep forbids (RFC 4013 section 2.4)")


def _mixes_directions(text: str) -> bool:
    """Whether RFC 3454 section 6 objects to right-to-left characters."""
    import stringprep

    right_to_left = [stringprep.in_table_d1(each) for each in text]
    if not any(right_to_left):
        return False
    return any(map(stringprep.in_table_d2, text)) or not (right_to_left[0] and right_to_left[-1])
