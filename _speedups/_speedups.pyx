# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, auto_pickle=False
"""The codec in Cython: the byte loops that every message and every reply goes through, and the session.

It has the names, signatures, results and exceptions of ``aiosmtplib._codec.pure`` and
``aiosmtplib._codec.pure.session``, which say in their docstrings what each of them does. Only
``aiosmtplib._codec`` imports it.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.string cimport memchr, memcmp, memcpy

from collections import deque
from re import MULTILINE as re_MULTILINE, compile as re_compile

from aiosmtplib._codec import constants as parts
from aiosmtplib._codec.endings import fail, take_early, take_goodbye, take_unasked
from aiosmtplib._codec.types import MAX_GROUP as max_group, NOT_COPIED as not_copied
from aiosmtplib._trace.redaction import (
    KEPT as kept,
    LONG as long_step,
    entry_of,
    form_of,
    header_of,
)
from aiosmtplib._trace.transcript import EMPTY_TRANSCRIPT, Transcript
from aiosmtplib.errors import SMTPException, SMTPServerDisconnected
from aiosmtplib.response import SMTPResponse

__all__ = (
    "DataEncoder",
    "Exchange",
    "ReplyParser",
    "Session",
    "encode_command",
    "encode_data",
    "encode_message",
    "encode_recipients",
    "normalize_newlines",
    "pick_fields",
    "plain_address",
    "plain_addresses",
    "serialize_message",
    "start_transaction",
)


cdef Py_ssize_t MAX_GROUP = max_group
cdef Py_ssize_t NOT_COPIED = not_copied


cdef bytes as_bytes(data):
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"expected bytes, got {type(data).__name__}")


include "replies.pxi"
include "content.pxi"
include "commands.pxi"
include "output.pxi"
include "fields.pxi"
include "serializer.pxi"
include "transaction.pxi"
include "transcript.pxi"
include "session.pxi"


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
        raise ValueError("an SMTP command must not contain control characters")
    (out - 1)[0] = c'\r'
    out[0] = c'\n'
    return line
