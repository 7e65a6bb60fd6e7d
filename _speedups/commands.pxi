# Command lines (RFC 5321 section 4.1), and plain addresses. email.utils parses all other addresses.

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object value)
    Py_ssize_t PyUnicode_GET_LENGTH(object value)
    const unsigned char *PyUnicode_1BYTE_DATA(object value)
    str PyUnicode_FromStringAndSize(const char *u, Py_ssize_t size)
    bint PyUnicode_IS_ASCII(object value)
    void *PyUnicode_DATA(object value)
    bint PyUnicode_Check(object value)
    bint PyUnicode_CheckExact(object value)

cdef enum:
    ALPHANUMERIC = 1
    ATOM = 2  # atext, RFC 5322 section 3.2.3
    NAME = 4  # what every version of email.utils reads as part of a phrase

cdef unsigned char[256] KIND


cdef int mark(bytes characters, unsigned char kind) except -1:
    cdef unsigned char character
    for character in characters:
        KIND[character] |= kind
    return 0


mark(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", ALPHANUMERIC | ATOM | NAME)
mark(b"!#$%&'*+-/=?^_`{|}~", ATOM)
mark(b" _.'-", NAME)


cdef bint is_plain(const unsigned char *p, const unsigned char *end) noexcept:
    """Whether this is dot-atom-text (RFC 5322), "@", Domain (RFC 5321 section 4.1.2)."""
    cdef const unsigned char *start = p
    while True:
        while p < end and KIND[p[0]] & ATOM:
            p += 1
        if p == end or p == start:
            return False
        if p[0] == c'@':
            break
        if p[0] != c'.':
            return False
        p += 1
        start = p
    while True:
        p += 1
        start = p
        while p < end and (KIND[p[0]] & ALPHANUMERIC or p[0] == c'-'):
            p += 1
        if p == start or start[0] == c'-' or (p - 1)[0] == c'-':
            return False
        if p == end:
            return True
        if p[0] != c'.':
            return False


cdef const unsigned char *after_name(const unsigned char *p, const unsigned char *end) noexcept:
    """Where a display name ends: words as every reader takes them, or a quoted string without a backslash."""
    while p < end and p[0] == c' ':
        p += 1
    if p == end or p[0] != c'"':
        while p < end and KIND[p[0]] & NAME:
            p += 1
        return p
    p += 1
    while p < end and 0x20 <= p[0] < 0x7F and p[0] != c'"' and p[0] != c'\\':
        p += 1
    if p == end or p[0] != c'"':
        return end
    p += 1
    while p < end and p[0] == c' ':
        p += 1
    return p


cdef str plain_between(const unsigned char *start, const unsigned char *end):
    """The address of a plain mailbox, with or without a display name; None for any other text."""
    if start == end:
        return None
    if (end - 1)[0] == c'>':
        end -= 1
        start = after_name(start, end)
        if start == end or start[0] != c'<':
            return None
        start += 1
    elif (end - 1)[0] == c')':
        # The old form of a display name: a comment behind the address.
        end -= 1
        while start < end and KIND[(end - 1)[0]] & NAME:
            end -= 1
        if start == end or (end - 1)[0] != c'(':
            return None
        end -= 1
        while start < end and (end - 1)[0] == c' ':
            end -= 1
    if not is_plain(start, end):
        return None
    return PyUnicode_FromStringAndSize(<const char *>start, end - start)


cdef str exact_ascii(value):
    """The string itself, or None if it has other characters."""
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    if type(value) is not str:
        value = str.__str__(value)  # a subclass keeps its characters elsewhere
    return value if PyUnicode_IS_COMPACT_ASCII(value) else None


def plain_address(value):
    cdef str text = exact_ascii(value)
    if text is None:
        return None
    return plain_between(PyUnicode_1BYTE_DATA(text), PyUnicode_1BYTE_DATA(text) + PyUnicode_GET_LENGTH(text))


cdef inline bint is_white(unsigned char c) noexcept:
    return c == c' ' or c == c'\t' or c == c'\r' or c == c'\n'


def plain_addresses(value):
    cdef str text = exact_ascii(value)
    cdef const unsigned char *start
    cdef const unsigned char *end
    cdef const unsigned char *comma
    cdef const unsigned char *last
    cdef list found = []
    if text is None:
        return None
    start = PyUnicode_1BYTE_DATA(text)
    end = start + PyUnicode_GET_LENGTH(text)
    while True:
        while start < end and is_white(start[0]):
            start += 1
        comma = after_name(start, end) if start < end and start[0] == c'"' else start
        comma = <const unsigned char *>memchr(comma, c',', end - comma)
        last = end if comma == NULL else comma
        while start < last and is_white((last - 1)[0]):
            last -= 1
        address = plain_between(start, last)
        if address is None:
            return None
        found.append(address)
        if comma == NULL:
            return found
        start = comma + 1


cdef inline const unsigned char *characters(object text) noexcept:
    """The characters of an ASCII string of any class."""
    return <const unsigned char *>PyUnicode_DATA(text)


cdef inline bint is_called(object name, str lower) noexcept:
    """Whether a name equals ``lower``, without regard to case."""
    cdef const unsigned char *p
    cdef const unsigned char *q
    cdef Py_ssize_t i, size = PyUnicode_GET_LENGTH(lower)
    if not PyUnicode_Check(name) or PyUnicode_GET_LENGTH(name) != size or not PyUnicode_IS_ASCII(name):
        return False
    p = characters(name)
    q = characters(lower)
    for i in range(size):
        if (p[i] | 0x20 if c'A' <= p[i] <= c'Z' else p[i]) != q[i]:
            return False
    return True


@cython.boundscheck(False)
@cython.wraparound(False)
def pick_fields(headers, names):
    cdef tuple wanted = names
    cdef list found = [()] * len(wanted)
    cdef Py_ssize_t i
    for name in wanted:
        if not PyUnicode_Check(name):
            raise TypeError(f"expected str, got {type(name).__name__}")
    for name, value in headers:
        for i in range(len(wanted)):
            if is_called(name, wanted[i]):
                if not found[i]:
                    found[i] = [value]
                else:
                    (<list>found[i]).append(value)
                break
    return found


def encode_recipients(recipients, tail):
    if not isinstance(tail, bytes):
        raise TypeError(f"expected bytes, got {type(tail).__name__}")
    return recipient_lines(list(recipients), tail)  # a list of our own cannot change below us


cdef inline bint is_plain_address(address) noexcept:
    """Whether this is a string that is a plain ``local@domain``, and nothing else."""
    cdef const unsigned char *start
    if type(address) is not str or not PyUnicode_IS_COMPACT_ASCII(address):
        return False
    start = PyUnicode_1BYTE_DATA(address)
    return is_plain(start, start + PyUnicode_GET_LENGTH(address))


cdef bytes recipient_lines(list addresses, bytes tail):
    """The RCPT command lines; None where an address is not plain."""
    cdef Py_ssize_t size, total = 0
    cdef Py_ssize_t tail_size = PyBytes_GET_SIZE(tail)
    cdef const unsigned char *tail_bytes = <const unsigned char *>PyBytes_AS_STRING(tail)
    cdef unsigned char *out
    cdef bytes result
    for address in addresses:
        if not is_plain_address(address):
            return None
        total += PyUnicode_GET_LENGTH(address) + tail_size + 12  # "RCPT TO:<", ">" and CRLF
    result = PyBytes_FromStringAndSize(NULL, total)
    out = <unsigned char *>PyBytes_AS_STRING(result)
    for address in addresses:
        size = PyUnicode_GET_LENGTH(address)
        memcpy(out, b"RCPT TO:<", 9)
        memcpy(out + 9, PyUnicode_1BYTE_DATA(address), size)
        out += size + 9
        out[0] = c'>'
        memcpy(out + 1, tail_bytes, tail_size)
        out += tail_size + 1
        memcpy(out, b"\r\n", 2)
        out += 2
    return result


def encode_command(*args):
    cdef Py_ssize_t i, total = 0
    cdef const unsigned char *source
    cdef unsigned char *out
    cdef unsigned char c
    cdef bint bad = False
    if not args:
        raise ValueError("an SMTP command needs a verb")
    for arg in args:
        if not isinstance(arg, bytes):
            raise TypeError(f"expected bytes, got {type(arg).__name__}")
        total += PyBytes_GET_SIZE(arg) + 1
    line = PyBytes_FromStringAndSize(NULL, total + 1)
    out = <unsigned char *>PyBytes_AS_STRING(line)
    for arg in args:
        source = <const unsigned char *>PyBytes_AS_STRING(arg)
        for i in range(PyBytes_GET_SIZE(arg)):
            c = source[i]
            bad |= (c < 0x20) | (c == 0x7F)
            out[i] = c
        out += PyBytes_GET_SIZE(arg)
        out[0] = c' '
        out += 1
    if bad:
        raise ValueError("control characters are prohibited in an SMTP command")
    (out - 1)[0] = c'\r'
    out[0] = c'\n'
    return line
