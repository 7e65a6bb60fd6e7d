# Message content on its way out: line ends (RFC 5321 section 2.3.8) and dots (section 4.5.2).
#
# The result is measured first, allocated once and then filled. Measuring needs no state: going by each
# byte and the one before it, an octet is added for an LF without a CR before it, for a byte other than
# LF after a CR, and for a dot after either. Filling copies whole blocks up to the next line end.

cdef extern from *:
    """
    #include <stdint.h>

    #if defined(__SSE2__) || defined(_M_X64)
    #define SMTP_SSE2
    #include <emmintrin.h>
    #if defined(_MSC_VER)
    #include <intrin.h>
    #endif
    #endif

    static inline int smtp_is_newline(unsigned char c)
    {
        return c == '\\r' || c == '\\n';
    }

    /* Octets that encoding adds to p[0:n], the final CRLF and dot left out. */
    static inline Py_ssize_t smtp_measure(const unsigned char *p, Py_ssize_t n, int at_line_start, const int dots)
    {
        Py_ssize_t i = 1, growth;
        if (n == 0)
            return 0;
        growth = (p[0] == '\\n') + (p[n - 1] == '\\r') + (dots && at_line_start && p[0] == '.');
    #ifdef SMTP_SSE2
        {
            const __m128i cr = _mm_set1_epi8('\\r'), lf = _mm_set1_epi8('\\n'), dot = _mm_set1_epi8('.');
            const __m128i zero = _mm_setzero_si128();
            __m128i total = zero;
            while (n - i >= 16) {
                /* A byte counts at most two per block; its counter holds 255. */
                Py_ssize_t blocks = (n - i) / 16;
                const unsigned char *stop = p + i + 16 * (blocks < 127 ? blocks : 127), *q;
                __m128i counts = zero;
                for (q = p + i; q < stop; q += 16) {
                    __m128i here = _mm_loadu_si128((const __m128i *)q);
                    __m128i before = _mm_loadu_si128((const __m128i *)(q - 1));
                    __m128i after_cr = _mm_cmpeq_epi8(before, cr);
                    counts = _mm_sub_epi8(counts, _mm_xor_si128(_mm_cmpeq_epi8(here, lf), after_cr));
                    if (dots) {
                        __m128i starts = _mm_or_si128(after_cr, _mm_cmpeq_epi8(before, lf));
                        counts = _mm_sub_epi8(counts, _mm_and_si128(_mm_cmpeq_epi8(here, dot), starts));
                    }
                }
                total = _mm_add_epi64(total, _mm_sad_epu8(counts, zero));
                i = stop - p;
            }
            {
                uint64_t halves[2];
                _mm_storeu_si128((__m128i *)halves, total);
                growth += (Py_ssize_t)(halves[0] + halves[1]);
            }
        }
    #endif
        for (; i < n; i++) {
            growth += (p[i] == '\\n') ^ (p[i - 1] == '\\r');
            if (dots)
                growth += (p[i] == '.') & smtp_is_newline(p[i - 1]);
        }
        return growth;
    }

    /* Copies one block and says how many of its bytes come before the first line end. */
    #ifdef SMTP_SSE2
    #define SMTP_BLOCK 16
    static inline int smtp_copy_block(unsigned char *out, const unsigned char *p)
    {
        __m128i block = _mm_loadu_si128((const __m128i *)p);
        unsigned int found = (unsigned int)_mm_movemask_epi8(_mm_or_si128(
            _mm_cmpeq_epi8(block, _mm_set1_epi8('\\r')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\n'))));
        _mm_storeu_si128((__m128i *)out, block);
        if (found == 0)
            return SMTP_BLOCK;
    #if defined(_MSC_VER)
        {
            unsigned long index;
            _BitScanForward(&index, found);
            return (int)index;
        }
    #else
        return __builtin_ctz(found);
    #endif
    }
    #else
    #define SMTP_BLOCK 8
    static inline uint64_t smtp_has_zero(uint64_t x)
    {
        return (x - UINT64_C(0x0101010101010101)) & ~x & UINT64_C(0x8080808080808080);
    }
    static inline int smtp_copy_block(unsigned char *out, const unsigned char *p)
    {
        uint64_t block;
        int i = 0;
        memcpy(&block, p, SMTP_BLOCK);
        memcpy(out, &block, SMTP_BLOCK);
        if (!(smtp_has_zero(block ^ UINT64_C(0x0d0d0d0d0d0d0d0d))
              | smtp_has_zero(block ^ UINT64_C(0x0a0a0a0a0a0a0a0a))))
            return SMTP_BLOCK;
        while (!smtp_is_newline(p[i]))
            i++;
        return i;
    }
    #endif

    /* Encodes p[0:n] into out, which has room for n and what smtp_measure says. A whole block is stored only
       where a whole block is still to be read, and nothing is ever left out but the LF of a CRLF that is
       written anyway; so no store goes past the end. */
    static unsigned char *smtp_fill(unsigned char *out, const unsigned char *p, Py_ssize_t n, int at_line_start,
                                    int dots)
    {
        const unsigned char *end = p + n;
        if (dots && at_line_start && n != 0 && p[0] == '.')
            *out++ = '.';
        for (;;) {
            while (end - p >= SMTP_BLOCK) {
                int clean = smtp_copy_block(out, p);
                out += clean;
                p += clean;
                if (clean < SMTP_BLOCK)
                    break;
            }
            while (p < end && !smtp_is_newline(*p))
                *out++ = *p++;
            if (p == end)
                return out;
            do {
                p += (p[0] == '\\r' && end - p > 1 && p[1] == '\\n') ? 2 : 1;
                *out++ = '\\r';
                *out++ = '\\n';
                if (p == end)
                    return out;
                if (dots && p[0] == '.')
                    *out++ = '.';
            } while (smtp_is_newline(*p));
        }
    }

    static Py_ssize_t smtp_growth(const unsigned char *p, Py_ssize_t n, int at_line_start, int dots)
    {
        return dots ? smtp_measure(p, n, at_line_start, 1) : smtp_measure(p, n, at_line_start, 0);
    }
    """
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
    """The same, where it is known what it adds."""
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
    """``encode_data`` for a message that comes in pieces; without ``dots``, ``normalize_newlines``."""

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
