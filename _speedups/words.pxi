# Folded text and encoded words (RFC 2047); see ``_codec/pure/words.py``.

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    Py_UCS4 PyUnicode_READ(int kind, const void *data, Py_ssize_t index) nogil
    bint Py_UNICODE_ISSPACE(Py_UCS4 character) nogil

cdef extern from "words.h":
    unsigned char *smtp_encoded_word(
        unsigned char *out,
        int kind,
        const void *text,
        Py_ssize_t start,
        Py_ssize_t end,
        Py_ssize_t room,
        Py_ssize_t *count,
    ) nogil

cdef int NEWER_WORDS = parts.NEWER_WORDS
cdef int OTHER_WORDS = parts.OTHER_WORDS
cdef Py_ssize_t EMPTY_WORD = 12  # =?utf-8?q??=
cdef Py_ssize_t LONGEST_LINE = 998


cdef inline bint is_blank(Py_UCS4 c) noexcept nogil:
    return c == c' ' or c == c'\t'


cdef bint is_plain_text(int kind, const void *data, Py_ssize_t size) noexcept:
    """Whether it is ASCII without control characters, tabs aside, and without the beginning of an encoded word."""
    cdef Py_UCS4 c, before = 0
    cdef Py_ssize_t i
    for i in range(size):
        c = PyUnicode_READ(kind, data, i)
        if not 0x20 <= c < 0x7F and c != c'\t' or c == c'?' and before == c'=':
            return False
        before = c
    return True


cdef bint is_usual_text(int kind, const void *data, Py_ssize_t size) noexcept:
    """Whether it is words with white space between them to the standard library, too, when it encodes some."""
    cdef Py_UCS4 c, before = 0
    cdef Py_ssize_t i
    cdef int blanks = 0
    for i in range(size):
        c = PyUnicode_READ(kind, data, i)
        if is_blank(c):
            blanks += 1
            if blanks > 3:
                return False
        elif c < 0x7F:
            blanks = 0
            if c < 0x20 or c == c'?' and before == c'=':
                return False
        elif c == 0x7F or 0xD800 <= c < 0xE000 or is_blank(before) and Py_UNICODE_ISSPACE(c):
            return False
        else:
            blanks = 0
        before = c
    return True


cdef bint is_to_encode(int kind, const void *data, Py_ssize_t start, Py_ssize_t end, bint quoted) noexcept:
    cdef Py_UCS4 c
    cdef Py_ssize_t i
    for i in range(start, end):
        c = PyUnicode_READ(kind, data, i)
        if c >= 0x80 or quoted and (40 <= c <= 41 or c in (c'<', c'>', c'@', c',', c':', c';', c'.', c'\\', c'"', c'[', c']')):
            return True
    return False


cdef class Words(Output):
    """Writer of text with encoded words."""

    cdef Py_UCS4 steal_blank(self, Py_ssize_t line) except? 0xFFFF:
        """Take the blank at the end of the line away. 0 if there is none."""
        cdef unsigned char last
        if self.size > line:
            last = (<unsigned char *>PyBytes_AS_STRING(<object>self.buffer))[self.size - 1]
            if is_blank(last):
                self.size -= 1
                return last
        return 0

    cdef Py_ssize_t new_line(self, Py_UCS4 blank) except -1:
        """End the line. Returns where the next begins, which has this blank."""
        cdef unsigned char *out = self.reserve(3)
        out[0] = c'\r'
        out[1] = c'\n'
        out[2] = <unsigned char>blank
        self.size += 3
        return self.size - 1

    cdef int add_characters(self, int kind, const void *data, Py_ssize_t start, Py_ssize_t end) except -1:
        cdef unsigned char *out = self.reserve(end - start)
        cdef Py_ssize_t i
        for i in range(start, end):
            out[i - start] = <unsigned char>PyUnicode_READ(kind, data, i)
        self.size += end - start
        return 0

    cdef Py_ssize_t add_words(self, Py_ssize_t line, object text, int words, bint quoted) except -1:
        """Write text, in lines of which the first begins at ``line``. Returns the number of lines, or 0 where the
        standard library has to do it."""
        cdef int kind = PyUnicode_KIND(text)
        cdef const void *data = PyUnicode_DATA(text)
        cdef Py_ssize_t limit = self.limit, size = PyUnicode_GET_LENGTH(text)
        cdef Py_ssize_t believed = -1, begins = 0, held = 0, start, position = 0, room, count, lines = 1
        cdef bint newer = words == NEWER_WORDS, after_word = False, blank
        cdef Py_UCS4 stolen
        cdef unsigned char *out
        if not self.size - line <= limit <= LONGEST_LINE:
            return 0
        if not (is_usual_text(kind, data, size) if words else is_plain_text(kind, data, size)):
            return 0
        while position < size:
            start = position
            blank = is_blank(PyUnicode_READ(kind, data, start))
            while position < size and is_blank(PyUnicode_READ(kind, data, position)) == blank:
                position += 1
            if blank or not is_to_encode(kind, data, start, position, quoted):
                if self.size - line + position - start <= limit:
                    self.add_characters(kind, data, start, position)
                    after_word = after_word and blank
                    continue
                if position - start < limit:
                    stolen = self.steal_blank(line)
                    if stolen or blank:
                        lines += 1
                        line = self.new_line(stolen)
                        self.size = line + (1 if stolen else 0)
                        self.add_characters(kind, data, start, position)
                        after_word = after_word and blank
                        believed = -1
                        continue
            if words == OTHER_WORDS:
                return 0
            if believed < 0:
                if newer and after_word:
                    while self.steal_blank(line):
                        start -= 1
                    self.add(b" ", 1)
            elif believed == begins:
                start = held
                self.size = line + believed
            elif believed < self.size - line:
                return 0
            begins = self.size - line
            held = start
            if not newer and is_blank(PyUnicode_READ(kind, data, start)):
                self.add_characters(kind, data, start, start + 1)
                start += 1
            if believed < 0:
                believed = self.size - line
            while start < position:
                room = limit - (self.size - line) - EMPTY_WORD
                if room <= 0:
                    stolen = self.steal_blank(line) if newer else 0
                    lines += 1
                    line = self.new_line(stolen or c' ')
                    if newer:
                        believed = self.size - line
                    begins = self.size - line
                    held = start
                    continue
                out = self.reserve(room + EMPTY_WORD)
                out = smtp_encoded_word(out, kind, data, start, position, room, &count)
                self.size = out - <unsigned char *>PyBytes_AS_STRING(<object>self.buffer)
                start += count
                if start < position:
                    lines += 1
                    line = self.new_line(c' ')
                    believed = begins = 1
                    held = start
            after_word = True
        return lines
