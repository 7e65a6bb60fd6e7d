# Header fields: those that fit on their line, those that are folded at white space, and those with encoded words
# in unstructured text and in display names.
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

    cdef int write_field(self, object name, object value) except -1:
        """Write a field as it is stored in a message; 0 if it is for the policy."""
        if self.legacy:
            return PyUnicode_CheckExact(value) and self.legacy_field(name, value)
        return self.source_field(name, value) if PyUnicode_CheckExact(value) else self.field(value)

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
        cdef const unsigned char *p
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
        if PyUnicode_IS_ASCII(text):
            if length < self.limit:
                # Where the first line has no room for all of it, the next one has.
                p = characters(text)
                if is_blank(p[0]) or not is_plain_text(PyUnicode_KIND(text), p, length):
                    return 0
                self.start_field(name, 0)
                return self.on_the_next_line([text])
            if self.fold_lines(name, text, OTHER_WORDS):
                return 1
        return self.fold_lines(name, text, self.rules.words) if self.rules.words else 0

    cdef int fold_lines(self, object name, object text, int words) except -1:
        """The field in lines, each as long as can be."""
        cdef Py_ssize_t size = self.size, stuffed = self.stuffed
        self.start_field(name, 0)
        if self.add_words(self.size - PyUnicode_GET_LENGTH(name) - 2, text, words, False):
            return self.newline() + 1
        self.size = size
        self.stuffed = stuffed
        return 0
