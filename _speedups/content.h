/* Line ends and dots of message content (RFC 5321 sections 2.3.8 and 4.5.2): for content.pxi. */

#ifndef SMTP_CONTENT_H
#define SMTP_CONTENT_H

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
    return c == '\r' || c == '\n';
}

/* Octets that encoding adds to p[0:n], the final CRLF and dot left out. */
static inline Py_ssize_t smtp_measure(const unsigned char *p, Py_ssize_t n, int at_line_start, const int dots)
{
    Py_ssize_t i = 1, growth;
    if (n == 0)
        return 0;
    growth = (p[0] == '\n') + (p[n - 1] == '\r') + (dots && at_line_start && p[0] == '.');
#ifdef SMTP_SSE2
    {
        const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n'), dot = _mm_set1_epi8('.');
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
        growth += (p[i] == '\n') ^ (p[i - 1] == '\r');
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
        _mm_cmpeq_epi8(block, _mm_set1_epi8('\r')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\n'))));
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
            p += (p[0] == '\r' && end - p > 1 && p[1] == '\n') ? 2 : 1;
            *out++ = '\r';
            *out++ = '\n';
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

#endif
