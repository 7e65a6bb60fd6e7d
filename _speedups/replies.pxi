# Reading replies (RFC 5321 section 4.2). A reply that came whole is read where it lies, in the chunk.

cdef extern from "replies.h":
    object smtp_reply(object type, object code, object message)
    PyObject *smtp_reply_code(object reply) except NULL
    bint smtp_blank(char c) nogil
    int smtp_code(const char *line, Py_ssize_t size) nogil

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char *s, Py_ssize_t size, const char *errors)

cdef Py_ssize_t ECHOED = 200


cdef inline int code_of(reply) except? -2:
    return <object>smtp_reply_code(reply)


cdef int append(bytearray buffer, const char *source, Py_ssize_t size) except -1:
    cdef Py_ssize_t held = PyByteArray_GET_SIZE(buffer)
    PyByteArray_Resize(buffer, held + size)
    memcpy(PyByteArray_AS_STRING(buffer) + held, source, size)
    return 0


@cython.final
cdef class ReplyParser:
    """Incremental reader of SMTP replies (RFC 5321 section 4.2)."""

    cdef bytearray _partial  # the line whose end has not arrived
    cdef bytearray _texts  # the texts of the finished lines of an unfinished reply, joined
    cdef int _code
    cdef Py_ssize_t _size  # octets in those finished lines
    cdef bint _poisoned

    def __cinit__(self):
        self._partial = bytearray()
        self._texts = bytearray()
        self._size = 0
        self._poisoned = False

    @property
    def pending(self):
        return PyByteArray_GET_SIZE(self._partial) + self._size > 0

    def feed(self, data, Py_ssize_t max_line, Py_ssize_t max_reply):
        cdef list replies = []
        cdef const char *start
        cdef const char *end
        cdef const char *newline
        cdef const char *line
        cdef const char *text
        cdef const char *last
        cdef Py_ssize_t held, size, length
        cdef int code
        cdef bint more
        if not isinstance(data, bytes):
            data = as_bytes(data)
        if self._poisoned:
            return replies
        start = PyBytes_AS_STRING(data)
        end = start + PyBytes_GET_SIZE(data)
        while start < end:
            held = PyByteArray_GET_SIZE(self._partial)
            newline = <const char *>memchr(start, c'\n', end - start)
            size = held + ((newline + 1 if newline != NULL else end) - start)
            if size > max_line or self._size + size > max_reply:
                self._poison(replies, "Response too long")
                break
            if newline == NULL:
                append(self._partial, start, end - start)
                break
            line = start
            length = size - 1
            if held:
                append(self._partial, start, newline - start)
                line = PyByteArray_AS_STRING(self._partial)
            start = newline + 1
            if length and line[length - 1] == c'\r':
                length -= 1
            code = smtp_code(line, length)
            if code < 0 or (self._size and code != self._code):
                self._poison(replies, "Malformed SMTP response line: " + echo(line[:length]))
                break
            more = length > 3 and line[3] == c'-'
            text = line + min(length, 4)
            last = line + length
            while text < last and smtp_blank(text[0]):
                text += 1
            while text < last and smtp_blank((last - 1)[0]):
                last -= 1
            length = last - text
            if more or self._size:
                if self._size:
                    append(self._texts, b"\n", 1)
                append(self._texts, text, length)
                text = PyByteArray_AS_STRING(self._texts)
                length = PyByteArray_GET_SIZE(self._texts)
            if more:
                self._code = code
                self._size += size
            else:
                message = PyUnicode_DecodeUTF8(text, length, "backslashreplace")
                replies.append(smtp_reply(SMTPResponse, code, message))
                if self._size:
                    self._size = 0
                    PyByteArray_Resize(self._texts, 0)
            if held:
                PyByteArray_Resize(self._partial, 0)
        return replies

    cdef int _poison(self, list replies, str message) except -1:
        replies.append(smtp_reply(SMTPResponse, -1, message))
        PyByteArray_Resize(self._partial, 0)
        PyByteArray_Resize(self._texts, 0)
        self._size = 0
        self._poisoned = True
        return 0


cdef str echo(bytes line):
    """A malformed line of a server, for an error text: without credentials, and in printable ASCII."""
    line = without_auth(line)[:ECHOED]
    return "".join([chr(c) if 0x20 <= c < 0x7F else f"\\x{c:02x}" for c in line])
