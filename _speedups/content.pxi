# Message content for DATA and BDAT: line ends (RFC 5321 section 2.3.8) and dots (section 4.5.2).
#
# The result is measured first, allocated once and then filled. Measuring needs no state: going by each
# byte and the one before it, an octet is added for an LF without a CR before it, for a byte other than
# LF after a CR, and for a dot after either. Filling copies whole blocks up to the next line end.

cdef extern from "content.h":
    bint smtp_is_newline(unsigned char c) nogil
    Py_ssize_t smtp_growth(const unsigned char *p, Py_ssize_t n, bint at_line_start, bint dots) nogil
    unsigned char *smtp_fill(
        unsigned char *out, const unsigned char *p, Py_ssize_t n, bint at_line_start, bint dots
    ) nogil


cdef bytes encode(bytes message, Py_ssize_t skipped, bint at_line_start, bint dots, bint ending):
    """Encode ``message[skipped:]``; with ``ending`` as a whole message, else as a piece of one."""
    cdef const unsigned char *source = <const unsigned char *>PyBytes_AS_STRING(message) + skipped
    cdef Py_ssize_t size = PyBytes_GET_SIZE(message) - skipped
    cdef Py_ssize_t growth = smtp_growth(source, size, at_line_start, dots)
    return encode_measured(message, skipped, at_line_start, dots, ending, growth)


cdef bytes encode_measured(
    bytes message, Py_ssize_t skipped, bint at_line_start, bint dots, bint ending, Py_ssize_t growth
):
    """Encode as ``encode()`` does, with the number of octets that it adds given."""
    cdef const unsigned char *source = <const unsigned char *>PyBytes_AS_STRING(message) + skipped
    cdef Py_ssize_t size = PyBytes_GET_SIZE(message) - skipped
    cdef Py_ssize_t tail = 0
    cdef unsigned char *out
    if ending:
        tail = 3 if size and smtp_is_newline(source[size - 1]) else 5
    elif not growth and not skipped:
        return message
    result = PyBytes_FromStringAndSize(NULL, size + growth + tail)
    out = <unsigned char *>PyBytes_AS_STRING(result)
    if growth:
        out = smtp_fill(out, source, size, at_line_start, dots)
    else:
        memcpy(out, source, size)
        out += size
    memcpy(out, <const char *>b"\r\n.\r\n" + (5 - tail), tail)
    return result


def encode_data(message):
    if not isinstance(message, bytes):
        message = as_bytes(message)
    return encode(message, 0, True, True, True)


def normalize_newlines(message):
    if not isinstance(message, bytes):
        message = as_bytes(message)
    return encode(message, 0, True, False, False)


def encode_message(message):
    cdef const unsigned char *source
    cdef Py_ssize_t length, growth, size
    if not isinstance(message, bytes):
        message = as_bytes(message)
    source = <const unsigned char *>PyBytes_AS_STRING(message)
    length = PyBytes_GET_SIZE(message)
    growth = smtp_growth(source, length, True, True)
    size = length + (smtp_growth(source, length, True, False) if growth else 0)
    if length == 0 or not smtp_is_newline(source[length - 1]):
        size += 2
    if growth == 0 and length >= NOT_COPIED:
        return (message, b".\r\n" if size == length else b"\r\n.\r\n"), size
    return encode_measured(message, 0, True, True, True, growth), size


@cython.final
cdef class DataEncoder:
    """Incremental encoder of message content: ``encode_data``; without ``dots``, ``normalize_newlines``."""

    cdef bint _dots
    cdef bint _started
    cdef bint _finished
    cdef unsigned char _last  # says whether a line starts, and whether an LF is half a CRLF

    def __init__(self, bint dots=True):
        self._dots = dots
        self._started = False
        self._finished = False

    def encode(self, chunk):
        cdef Py_ssize_t size, skipped
        cdef const unsigned char *source
        cdef bint at_line_start
        if self._finished:
            raise ValueError("the message is finished")
        if not isinstance(chunk, bytes):
            chunk = as_bytes(chunk)
        size = PyBytes_GET_SIZE(chunk)
        if size == 0:
            return b""
        source = <const unsigned char *>PyBytes_AS_STRING(chunk)
        at_line_start = not self._started or smtp_is_newline(self._last)
        skipped = self._last == c'\r' and source[0] == c'\n'
        self._started = True
        self._last = source[size - 1]
        return encode(chunk, skipped, at_line_start, self._dots, False)

    def finish(self):
        if self._finished:
            raise ValueError("the message is finished")
        self._finished = True
        if not self._dots:
            return b""
        return b".\r\n" if smtp_is_newline(self._last) else b"\r\n.\r\n"
