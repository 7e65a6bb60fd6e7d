/* Encoded words in UTF-8 (RFC 2047): for words.pxi. */

#ifndef SMTP_WORDS_H
#define SMTP_WORDS_H

static const unsigned char SMTP_BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const unsigned char SMTP_HEX[] = "0123456789ABCDEF";

/* Whether a character stands for itself, or as an underscore (sections 4.2 and 5, (3)). */
static inline int smtp_is_safe(Py_UCS4 c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '-'
           || c == '!' || c == '*' || c == '+' || c == '/';
}

static inline Py_ssize_t smtp_utf8_size(Py_UCS4 c)
{
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

static inline unsigned char *smtp_utf8(unsigned char *out, Py_UCS4 c)
{
    if (c < 0x80) {
        *out++ = (unsigned char)c;
    } else if (c < 0x800) {
        *out++ = (unsigned char)(0xC0 | c >> 6);
        *out++ = (unsigned char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (unsigned char)(0xE0 | c >> 12);
        *out++ = (unsigned char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (unsigned char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (unsigned char)(0xF0 | c >> 18);
        *out++ = (unsigned char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (unsigned char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (unsigned char)(0x80 | (c & 0x3F));
    }
    return out;
}

/* Write the longest beginning of text[start:end] whose encoded form has at most ``room`` octets, 998 or less, as an
   encoded word. Returns the end of what was written; ``count`` gets its number of characters. */
static unsigned char *smtp_encoded_word(unsigned char *out, int kind, const void *text, Py_ssize_t start,
                                        Py_ssize_t end, Py_ssize_t room, Py_ssize_t *count)
{
    Py_ssize_t i, octets = 0, readable = 0, size;
    int in_base64 = 0;
    *count = 0;
    for (i = start; i < end && i - start < room; i++) {
        Py_UCS4 c = PyUnicode_READ(kind, text, i);
        octets += smtp_utf8_size(c);
        readable += smtp_is_safe(c) ? 1 : 3 * smtp_utf8_size(c);
        size = (octets + 2) / 3 * 4;
        if (readable > room && size > room)
            break;
        if (readable - size < 5) {
            if (readable <= room) {
                *count = i - start + 1;
                in_base64 = 0;
            }
        } else if (size <= room) {
            *count = i - start + 1;
            in_base64 = 1;
        }
    }
    memcpy(out, in_base64 ? "=?utf-8?b?" : "=?utf-8?q?", 10);
    out += 10;
    if (in_base64) {
        unsigned char raw[1000], *p = raw, *stop = raw;
        for (i = start; i < start + *count; i++)
            stop = smtp_utf8(stop, PyUnicode_READ(kind, text, i));
        stop[0] = stop[1] = 0;
        for (; p < stop; p += 3) {
            *out++ = SMTP_BASE64[p[0] >> 2];
            *out++ = SMTP_BASE64[(p[0] & 3) << 4 | p[1] >> 4];
            *out++ = p + 1 < stop ? SMTP_BASE64[(p[1] & 15) << 2 | p[2] >> 6] : '=';
            *out++ = p + 2 < stop ? SMTP_BASE64[p[2] & 63] : '=';
        }
    } else {
        for (i = start; i < start + *count; i++) {
            Py_UCS4 c = PyUnicode_READ(kind, text, i);
            if (smtp_is_safe(c)) {
                *out++ = c == ' ' ? '_' : (unsigned char)c;
            } else {
                unsigned char raw[4], *p = raw, *stop = smtp_utf8(raw, c);
                for (; p < stop; p++) {
                    *out++ = '=';
                    *out++ = SMTP_HEX[*p >> 4];
                    *out++ = SMTP_HEX[*p & 15];
                }
            }
        }
    }
    *out++ = '?';
    *out++ = '=';
    return out;
}

#endif
