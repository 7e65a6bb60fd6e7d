# Output buffer of the serialiser: line ends (RFC 5321 section 2.3.8) and dots (section 4.5.2) are written right.

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **value, Py_ssize_t size) except -1

cdef int PLAIN = parts.PLAIN
cdef int FOR_DATA = parts.DATA


cdef class Output:
    """Output buffer of the serialiser, and the rules of the policy that it follows."""

    cdef object rules
    cdef object base
    cdef object fold
    cdef dict kinds
    cdef bint legacy
    cdef bint wire  # whether every line ends with CRLF, whatever the rules say
    cdef bint dots
    cdef Py_ssize_t limit
    cdef PyObject *buffer
    cdef Py_ssize_t size
    cdef Py_ssize_t room
    cdef Py_ssize_t stuffed

    def __cinit__(self, rules, int form):
        self.wire = form != PLAIN
        self.dots = form == FOR_DATA
        self.follow(rules)
        self.room = 4096
        created = PyBytes_FromStringAndSize(NULL, self.room)
        Py_INCREF(created)
        self.buffer = <PyObject *>created

    def __dealloc__(self):
        Py_XDECREF(self.buffer)

    cdef int follow(self, rules) except -1:
        """Change to other rules."""
        self.rules = rules
        self.base = rules.base
        self.fold = rules.fold
        self.kinds = rules.kinds
        self.legacy = rules.legacy
        self.limit = rules.limit
        return 0

    cdef bytes finish(self):
        if _PyBytes_Resize(&self.buffer, self.size) < 0:
            raise MemoryError
        result = <bytes>self.buffer
        Py_DECREF(result)
        self.buffer = NULL
        return result

    cdef unsigned char *reserve(self, Py_ssize_t size) except NULL:
        """Pointer to room for ``size`` octets at the end of what is written."""
        if size > self.room - self.size:
            self.room = self.size + size + (self.size >> 1) + 1024
            _PyBytes_Resize(&self.buffer, self.room)
        return <unsigned char *>PyBytes_AS_STRING(<object>self.buffer) + self.size

    cdef int add(self, const unsigned char *text, Py_ssize_t size) except -1:
        """Write text unchanged. No line of it may start with a dot."""
        memcpy(self.reserve(size), text, size)
        self.size += size
        return 0

    cdef int newline(self) except -1:
        if self.legacy and not self.wire:
            return self.add(b"\n", 1)
        return self.add(b"\r\n", 2)

    cdef int add_lines(self, const unsigned char *text, Py_ssize_t size) except -1:
        """Write lines with any line ends, from the start of a line on, as CRLF and with dots where asked."""
        cdef Py_ssize_t growth = smtp_growth(text, size, True, self.dots)
        cdef unsigned char *out
        if not growth:
            return self.add(text, size)
        if self.dots:
            self.stuffed += growth - smtp_growth(text, size, True, False)
        out = self.reserve(size + growth)
        smtp_fill(out, text, size, True, self.dots)
        self.size += size + growth
        return 0

    cdef int add_content(self, content) except -1:
        """Write a body, preamble or epilogue."""
        cdef const unsigned char *text
        cdef Py_ssize_t size
        if content is None:
            return 0
        if isinstance(content, bytes):
            text = <const unsigned char *>PyBytes_AS_STRING(content)
            size = PyBytes_GET_SIZE(content)
        else:
            text = characters(content)
            size = PyUnicode_GET_LENGTH(content)
        if not self.legacy or self.wire:
            return self.add_lines(text, size)
        if memchr(text, c'\r', size) == NULL:
            return self.add(text, size)
        changed = <bytes>text[:size]
        changed = changed.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return self.add(<const unsigned char *>PyBytes_AS_STRING(changed), PyBytes_GET_SIZE(changed))

    cdef int start_field(self, object name, Py_ssize_t size) except -1:
        """Write the name of a field, with room for ``size`` octets after it."""
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(name)
        cdef unsigned char *out = self.reserve(length + size + 5)
        cdef const unsigned char *text = characters(name)
        if self.dots and text[0] == c'.':
            out[0] = c'.'
            out += 1
            self.size += 1
            self.stuffed += 1
        memcpy(out, text, length)
        out[length] = c':'
        out[length + 1] = c' '
        self.size += length + 2
        return 0

    cdef int utf8_field(self, object name, object text) except -1:
        if "\n" in text or "\r" in text or len(name) + 2 + len(text) > self.limit:
            return 0
        try:
            encoded = text.encode("utf-8")
        except UnicodeEncodeError:
            return 0
        self.start_field(name, PyBytes_GET_SIZE(encoded))
        self.add(<const unsigned char *>PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))
        return self.newline() + 1
