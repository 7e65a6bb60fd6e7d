# Header fields: those that fit on their line, those that are folded at plain white space, and those with encoded
# words in unstructured text and in display names.
#
# Each method answers 0 for a field that is none of them; the policy of the standard library folds it then.

cdef int DATE = parts.DATE
cdef int ADDRESSES = parts.ADDRESSES
cdef int PARAMETERS = parts.PARAMETERS

cdef object split_lines = re_compile(r"\r?\n").split


cdef inline bint is_name(object name) noexcept:
    """Whether this is the name of a header field (RFC 5322 section 3.6.8)."""
    cdef const unsigned char *p
    cdef Py_ssize_t i, size
    if not PyUnicode_Check(name) or not PyUnicode_IS_ASCII(name):
        return False
    p = characters(name)
    size = PyUnicode_GET_LENGTH(name)
    for i in range(size):
        if p[i] <= 0x20 or p[i] >= 0x7F or p[i] == c':':
            return False
    return size > 0


cdef class Fields(Addresses):
    """Writer of header fields (RFC 5322 section 2.2)."""

    cdef int add_field(self, bytes field) except -1:
        """Write a field that is ready, with its line end. Returns 1."""
        cdef const unsigned char *text = <const unsigned char *>PyBytes_AS_STRING(field)
        if self.wire:
            self.add_lines(text, PyBytes_GET_SIZE(field))
        else:
            self.add(text, PyBytes_GET_SIZE(field))
        return 1

    cdef int legacy_field(self, object name, object value) except -1:
        """Write a field of an old-style message; 0 if it has to be folded."""
        cdef const unsigned char *p
        cdef const unsigned char *end
        cdef const unsigned char *line
        cdef Py_ssize_t size = PyUnicode_GET_LENGTH(value), before
        cdef bint content = False
        if size == 0 or not is_name(name) or not PyUnicode_IS_ASCII(value):
            return 0
        p = line = characters(value)
        end = p + size
        before = PyUnicode_GET_LENGTH(name) + 2
        # No white space at the end of a line, nor on its own: the old way of folding does things to that.
        while p < end:
            if 0x21 <= p[0] <= 0x7E:
                content = True
            elif p[0] == c'\n' or (p[0] == c'\r' and p + 1 < end and (p + 1)[0] == c'\n'):
                if not content or (p - 1)[0] <= 0x20 or before + (p - line) > self.limit:
                    return 0
                p += 2 if p[0] == c'\r' else 1
                if p == end or not (p[0] == c' ' or p[0] == c'\t'):
                    return 0
                before = 0
                line = p
                content = False
            elif (p[0] != c' ' and p[0] != c'\t') or p == characters(value):
                return 0
            p += 1
        if not content or (end - 1)[0] <= 0x20 or before + (end - line) > self.limit:
            return 0
        self.start_field(name, size)
        if self.wire:
            self.add_lines_of_field(characters(value), size)
        elif memchr(characters(value), c'\r', size) == NULL:
            self.add(characters(value), size)
        else:
            encoded = value.replace("\r", "").encode()
            self.add(<const unsigned char *>PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))
        self.newline()
        return 1

    cdef int add_lines_of_field(self, const unsigned char *text, Py_ssize_t size) except -1:
        """Write the value of a field, of which each further line starts with white space."""
        cdef Py_ssize_t growth = smtp_growth(text, size, False, False)
        if not growth:
            return self.add(text, size)
        smtp_fill(self.reserve(size + growth), text, size, False, False)
        self.size += size + growth
        return 0

    cdef int source_field(self, object name, object value) except -1:
        """A field that a parser took as it was, and that may be folded already."""
        cdef const unsigned char *p
        cdef const unsigned char *end
        cdef const unsigned char *line
        cdef Py_ssize_t size = PyUnicode_GET_LENGTH(value), before
        cdef bint lines = False, long = False
        if not is_name(name) or not PyUnicode_IS_ASCII(value):
            return 0
        p = line = characters(value)
        end = p + size
        before = PyUnicode_GET_LENGTH(name) + 2
        while p < end:
            if p[0] == c'\n' or (p[0] == c'\r' and p + 1 < end and (p + 1)[0] == c'\n'):
                long |= before + (p - line) > self.limit
                p += 2 if p[0] == c'\r' else 1
                if p == end or not (p[0] == c' ' or p[0] == c'\t'):
                    return 0
                line = p
                before = 0
                lines = True
            elif not (0x20 <= p[0] <= 0x7E or p[0] == c'\t'):
                return 0
            p += 1
        if before + (end - line) > self.limit:
            long = True
        if not long:
            self.start_field(name, size)
            self.add_lines_of_field(characters(value), size)
            self.newline()
            return 1
        if not self.rules.folds or name.lower() in self.rules.structured or "=?" in value:
            return 0
        if lines:
            value = "".join(split_lines(value))
        return self.fold_text(name, value)

    cdef int field(self, object value) except -1:
        """A field whose value is a header object of :mod:`email.headerregistry`."""
        cdef tuple bases
        cdef object kind = type(value)
        cdef object rules = self.rules
        cdef object text = value
        cdef object tree
        cdef int known
        cdef const unsigned char *p
        cdef Py_ssize_t size
        if not PyUnicode_Check(value):
            return 0
        bases = kind.__bases__
        if len(bases) != 2 or bases[1] is not self.base or kind.fold is not self.fold:
            return 0
        found = self.kinds.get(bases[0])
        if found is None:
            return 0
        name = value._name
        if not is_name(name):
            return 0
        known = found
        if known == ADDRESSES:
            return self.address_field(name, value._parse_tree)
        if known == DATE and not value._parse_tree:
            return 0
        size = PyUnicode_GET_LENGTH(text)
        if size == 0:
            return 0
        if not PyUnicode_IS_ASCII(text):
            if rules.utf8:
                # In the value, raw bytes are decoded.
                return self.utf8_field(name, text_of(value._parse_tree, rules))
        else:
            p = characters(text)
            if memchr(p, c'\n', size) != NULL or memchr(p, c'\r', size) != NULL:
                return 0
            if PyUnicode_GET_LENGTH(name) + 2 + size <= self.limit:
                self.start_field(name, size)
                self.add(p, size)
                self.newline()
                return 1
        if not rules.folds:
            return 0
        tree = value._parse_tree
        if known == PARAMETERS:
            folded = rules.fold_parameters(name, str.__str__(text) if PyUnicode_IS_ASCII(text) else str(tree))
            return 0 if folded is None else self.add_field(folded)
        if type(tree) is not rules.unstructured:
            return 0
        for token in <list>tree:
            if type(token) not in rules.terminals:
                return 0
        return self.fold_text(name, text if PyUnicode_IS_ASCII(text) else "".join(tree))

    cdef int fold_text(self, object name, object text) except -1:
        """Unstructured text in lines, with encoded words where need be."""
        cdef Py_ssize_t size = self.size, stuffed = self.stuffed
        cdef int words
        if PyUnicode_IS_ASCII(text):
            if self.fold_words(name, text):
                return 1
            if PyUnicode_GET_LENGTH(text) < self.limit:
                return 0
        words = self.rules.words
        if not words:
            return 0
        self.start_field(name, 0)
        if self.add_words(self.size - PyUnicode_GET_LENGTH(name) - 2, text, words, False):
            return self.newline() + 1
        self.size = size
        self.stuffed = stuffed
        return 0

    cdef int fold_words(self, object name, object text) except -1:
        """The field in lines, each as long as can be. 0 if it is not words with one blank between them each,
        or if one of them is longer than a line."""
        cdef const unsigned char *p = characters(text)
        cdef const unsigned char *end = p + PyUnicode_GET_LENGTH(text)
        cdef const unsigned char *word = p
        cdef Py_ssize_t size = end - p, length
        cdef unsigned char *out
        cdef unsigned char *start
        while p <= end:
            if p == end or p[0] == c' ' or p[0] == c'\t':
                if p == word or p - word >= self.limit:
                    return 0
                word = p + 1
            elif not 0x21 <= p[0] <= 0x7E:
                return 0
            p += 1
        p = word = characters(text)
        length = PyUnicode_GET_LENGTH(name) + 2
        self.start_field(name, 3 * size + 4)  # a line for every octet is more than enough
        start = out = <unsigned char *>PyBytes_AS_STRING(<object>self.buffer) + self.size
        if size < self.limit:
            memcpy(out - 1, b"\r\n ", 3)
            memcpy(out + 2, p, size)
            self.size += size + 2
            return self.newline() + 1
        while True:
            while p < end and p[0] != c' ' and p[0] != c'\t':
                p += 1
            if length + (p - word) > self.limit:
                # The blank before the fold goes to the next line.
                (out + 1)[0] = (out - 1)[0]
                memcpy(out - 1, b"\r\n", 2)
                out += 2
                length = 1
            memcpy(out, word, p - word)
            out += p - word
            length += p - word
            if p == end:
                break
            if length == self.limit:
                memcpy(out, b"\r\n", 2)
                out += 2
                length = 0
            out[0] = p[0]
            out += 1
            length += 1
            p += 1
            word = p
        self.size += out - start
        return self.newline() + 1
