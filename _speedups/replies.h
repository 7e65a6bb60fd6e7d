/* Building and reading a reply (RFC 5321 section 4.2): for replies.pxi. */

#ifndef SMTP_REPLIES_H
#define SMTP_REPLIES_H

/* A named tuple without its constructor, which is Python code. From Python 3.14 a tuple keeps its hash, and what
   was allocated as zeros would keep that one. */
static PyObject *smtp_reply(PyObject *type, PyObject *code, PyObject *message)
{
    PyObject *reply = ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 2);
    if (reply != NULL) {
        Py_INCREF(code);
        PyTuple_SET_ITEM(reply, 0, code);
        Py_INCREF(message);
        PyTuple_SET_ITEM(reply, 1, message);
#if PY_VERSION_HEX >= 0x030E0000
        ((PyTupleObject *)reply)->ob_hash = -1;
#endif
    }
    return reply;
}

/* The code of a reply, borrowed; NULL and a TypeError for what is no reply. */
static inline PyObject *smtp_reply_code(PyObject *reply)
{
    if (!PyTuple_Check(reply) || PyTuple_GET_SIZE(reply) != 2) {
        PyErr_SetString(PyExc_TypeError, "a reply is a code and a text");
        return NULL;
    }
    return PyTuple_GET_ITEM(reply, 0);
}

/* What bytes.strip() takes away. */
static int smtp_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Whether a code may be followed by this character: neither a digit nor a control character. */
static int smtp_separator(unsigned char c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f && (c < '0' || c > '9'));
}

/* The code of a line without its line end, or -1 where the line is malformed. */
static int smtp_code(const char *line, Py_ssize_t size)
{
    int i, code = 0;
    if (size < 3 || (size > 3 && !smtp_separator((unsigned char)line[3])))
        return -1;
    for (i = 0; i < 3; i++) {
        if (line[i] < '0' || line[i] > '9')
            return -1;
        code = code * 10 + (line[i] - '0');
    }
    return code;
}

#endif
