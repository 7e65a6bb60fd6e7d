# Transcript of a connection: the last entries. aiosmtplib/_trace/redaction.py says what an entry may hold.

cdef Py_ssize_t KEPT = kept
cdef Py_ssize_t LONG = long_step


@cython.final
cdef class TranscriptRing:
    """Ring buffer of transcript entries: each step and the replies to it."""

    cdef list _kept
    cdef Py_ssize_t _next

    def __cinit__(self):
        self._kept = [None] * (2 * KEPT)

    @cython.boundscheck(False)
    @cython.wraparound(False)
    cdef int add(self, said, replies) except -1:
        if len(replies) >= KEPT:  # it leaves no room for anything else
            self._kept = [None] * (2 * KEPT)
        self._kept[self._next] = said
        self._kept[self._next + 1] = replies
        self._next += 2
        if self._next == 2 * KEPT:
            self._next = 0
        return 0

    cdef int add_entry(self, tuple entry) except -1:
        return self.add(entry[0], entry[1])

    cdef object transcript(self):
        cdef list kept = self._kept[self._next :] + self._kept[: self._next]
        pairs = zip(kept[::2], kept[1::2])
        return Transcript([(said, tuple(replies)) for said, replies in pairs if said is not None])


cdef bint of_a_mail(data):
    """Whether these are commands of a mail transaction, which the transcript keeps as they are."""
    cdef const char *start
    if type(data) is not bytes or PyBytes_GET_SIZE(data) < 6:
        return False
    start = PyBytes_AS_STRING(data)
    return (
        memcmp(start, b"MAIL ", 5) == 0
        or memcmp(start, b"RCPT ", 5) == 0
        or memcmp(start, b"RSET\r", 5) == 0
        or memcmp(start, b"DATA\r", 5) == 0
        or memcmp(start, b"BDAT ", 5) == 0
    )


cdef bytes commands_of(bytes group):
    """Command lines without the content that may follow a BDAT among them (RFC 3030 section 2)."""
    cdef const char *start = PyBytes_AS_STRING(group)
    cdef const char *line = start
    cdef const char *end = start + PyBytes_GET_SIZE(group)
    cdef const char *newline
    while line < end:
        newline = <const char *>memchr(line, c'\n', end - line)
        if newline == NULL:
            break
        if end - line > 5 and memcmp(line, b"BDAT ", 5) == 0 and newline + 1 < end:
            return group[: newline + 1 - start]
        line = newline + 1
    return group
