# Address lists in header fields (RFC 5322 section 3.4), and the parse trees that hold them.
#
# Each method answers 0 where the policy of the standard library has to fold the field.

cdef class Addresses(Words):
    """Writer of address lists, with encoded words in display names where need be."""

    cdef int address_field(self, object name, object tree) except -1:
        """Write an address list."""
        cdef object rules = self.rules
        cdef Leaves leaves
        cdef list words
        cdef Py_ssize_t i, size = 0
        cdef bint encoded = False
        if type(tree) not in <frozenset>rules.lists:
            return 0
        leaves = Leaves.__new__(Leaves, rules)
        words = []
        for token in <list>tree:
            word = leaves.text_of(token)
            if not PyUnicode_IS_ASCII(word):
                encoded = True
            elif "\n" in word or "\r" in word:
                return 0
            size += PyUnicode_GET_LENGTH(word)
            words.append(word)
        if size == 0 or not leaves.plain:
            return 0
        if encoded and rules.utf8:
            return self.utf8_field(name, "".join(words))
        if not encoded and PyUnicode_GET_LENGTH(name) + 2 + size <= self.limit:
            self.start_field(name, size)
            self.add_texts(words)
            return self.newline() + 1
        if not rules.folds:
            return 0
        if not encoded:
            if size < self.limit:
                self.start_field(name, size + 1)
                return self.on_the_next_line(words)
            return self.fold_addresses(name, words)
        if not rules.words:
            return 0
        size = 0
        for i in range(PyList_GET_SIZE(words)):
            word = words[i]
            if not PyUnicode_IS_ASCII(word):
                word = self.encoded_address((<list>tree)[i], leaves)
                if word is None:
                    return 0
                words[i] = word
                size += PyBytes_GET_SIZE(word)
            else:
                size += PyUnicode_GET_LENGTH(word)
        if size > self.limit:
            return self.fold_addresses(name, words)
        self.start_field(name, size + 1)
        if PyUnicode_GET_LENGTH(name) + 2 + size > self.limit:
            return self.on_the_next_line(words)
        self.add_texts(words)
        return self.newline() + 1

    cdef int on_the_next_line(self, list words) except -1:
        """Write all of a field that has been started on a line of its own."""
        self.size -= 1
        self.new_line(c' ')
        self.add_texts(words)
        return self.newline() + 1

    cdef int add_texts(self, list words) except -1:
        """Write texts in ASCII, or octets."""
        for word in words:
            if isinstance(word, bytes):
                self.add(<const unsigned char *>PyBytes_AS_STRING(word), PyBytes_GET_SIZE(word))
            else:
                self.add(characters(word), PyUnicode_GET_LENGTH(word))
        return 0

    cdef bytes encoded_address(self, object token, Leaves leaves):
        """An address whose display name has to be encoded (RFC 2047 section 5, (3)); None where it fills a line."""
        cdef object rules = self.rules
        cdef Py_ssize_t start = self.size, limit = self.limit
        cdef bint quoted
        cdef list parts
        for kind in <tuple>rules.nested:
            if type(token) is not kind or PyList_GET_SIZE(token) != 1:
                return None
            token = (<list>token)[0]
        if not isinstance(token, list) or PyList_GET_SIZE(token) != 2:
            return None
        name, path = (<list>token)[0], (<list>token)[1]
        if type(name) is not (<tuple>rules.named)[0] or type(path) is not (<tuple>rules.named)[1]:
            return None
        path = leaves.text_of(path)
        if not PyUnicode_IS_ASCII(path) or "@" not in path:
            return None
        quoted = PyList_GET_SIZE(name) == 1 and type((<list>name)[0]) is rules.quoted_string
        if quoted:
            parts = []
            for part in <list>(<list>name)[0]:
                if type(part) is rules.in_quotes:
                    for text in <list>part:
                        if not isinstance(text, str):
                            return None  # the parser found an encoded word
                    parts.append("".join(part))
                    if parts[-1] != parts[-1].strip(" \t"):
                        return None
                else:
                    parts.append(leaves.text_of(part))
                    if parts[-1].strip(" \t"):
                        return None  # a comment
            text = "".join(parts)
        else:
            text = leaves.text_of(name)
            if is_divided(text):
                return None
        if self.add_words(start, text, rules.words, quoted) != 1:
            self.size = start
            return None
        self.add(characters(path), PyUnicode_GET_LENGTH(path))
        result = <bytes>(PyBytes_AS_STRING(<object>self.buffer) + start)[:self.size - start]
        self.size = start
        return result if PyBytes_GET_SIZE(result) <= limit else None

    cdef int fold_addresses(self, object name, list words) except -1:
        """The field in lines, each as long as can be; 0 where a word is longer than a line."""
        cdef Py_ssize_t start = self.size, stuffed = self.stuffed, limit = self.limit, line, size
        cdef const unsigned char *text
        cdef Py_UCS4 blank
        self.start_field(name, 0)
        line = self.size - PyUnicode_GET_LENGTH(name) - 2
        for word in words:
            if isinstance(word, bytes):
                text = <const unsigned char *>PyBytes_AS_STRING(word)
                size = PyBytes_GET_SIZE(word)
            else:
                text = characters(word)
                size = PyUnicode_GET_LENGTH(word)
            if self.size - line + size > limit:
                blank = self.steal_blank(line)
                if (size >= limit and not isinstance(word, bytes)) or not (blank or is_blank(text[0])):
                    self.size = start
                    self.stuffed = stuffed
                    return 0
                # The blank before the fold goes to the next line.
                line = self.new_line(blank)
                self.size = line + (1 if blank else 0)
            self.add(text, size)
        return self.newline() + 1


cdef bint is_divided(text) noexcept:
    """Whether the parser of the standard library has taken words apart: there are dots in them, or a comment."""
    cdef int kind = PyUnicode_KIND(text)
    cdef const void *data = PyUnicode_DATA(text)
    cdef bint dot = False, foreign = False
    cdef Py_UCS4 c
    cdef Py_ssize_t i
    for i in range(PyUnicode_GET_LENGTH(text)):
        c = PyUnicode_READ(kind, data, i)
        if c == c'"' or c == c'(':
            return True
        if is_blank(c):
            dot = foreign = False
        elif c == c'.':
            dot = True
        elif c >= 0x7F or c < 0x20:
            foreign = True
        if dot and foreign:
            return True
    return False


cdef object text_of(tree, rules):
    """The text of a parse tree."""
    return (<Leaves>Leaves.__new__(Leaves, rules)).text_of(tree)


@cython.final
cdef class Leaves:
    """Reader of parse trees.

    :ivar plain: whether nothing in them was encoded so far, which would have a say in where it is folded
    """

    cdef object one_terminal  # of two: comparing is faster than looking them up
    cdef object other_terminal
    cdef frozenset lists
    cdef frozenset quoted
    cdef bint plain

    def __cinit__(self, rules):
        self.one_terminal, self.other_terminal = rules.terminals
        self.lists = rules.lists
        self.quoted = rules.quoted
        self.plain = True

    cdef object text_of(self, token):
        cdef list found
        kind = type(token)
        if kind is self.one_terminal or kind is self.other_terminal:
            return token
        found = []
        self.collect(token, found)
        return found[0] if PyList_GET_SIZE(found) == 1 else "".join(found)

    cdef int collect(self, token, list found) except -1:
        kind = type(token)
        if kind in self.lists:
            for part in <list>token:
                kind = type(part)
                if kind is self.one_terminal or kind is self.other_terminal:
                    found.append(part)
                else:
                    self.collect(part, found)
        else:
            found.append(str(token))
            if kind not in self.quoted:
                self.plain = False
        return 0
