# cython: language_level=3, initializedcheck=False, nonecheck=True, auto_pickle=False
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
from libc.math cimport INFINITY
from libc.string cimport memchr, memcmp, memcpy

from collections import deque
from asyncio import _get_running_loop as running_loop
from logging import DEBUG
from re import MULTILINE as re_MULTILINE, compile as re_compile

from aiosmtplib._codec import constants as parts, types as steps
from aiosmtplib._codec.endings import fail, take_early, take_fragment, take_goodbye, take_unasked
from aiosmtplib._codec.waiting import WaitingExchanges
from aiosmtplib._trace.observer import wire_log
from aiosmtplib._trace.redaction import (
    LONG as long_step,
    entry_of,
    form_of,
    header_of,
    without_auth,
)
from aiosmtplib._trace.transcript import EMPTY_TRANSCRIPT, KEPT as kept, Transcript
from aiosmtplib.errors import SMTPException, SMTPServerDisconnected
from aiosmtplib.response import SMTPResponse
from aiosmtplib.status import SMTPStatus

__all__ = (
    "DataEncoder",
    "EncodedEnvelope",
    "Exchange",
    "ExchangeQueue",
    "PreparedMail",
    "ReplyParser",
    "ServerState",
    "Session",
    "encode_command",
    "encode_data",
    "encode_message",
    "encode_recipients",
    "normalize_newlines",
    "pick_fields",
    "plain_address",
    "plain_addresses",
    "plain_envelope",
    "serialize_field",
    "serialize_message",
    "start_transaction",
)


cdef Py_ssize_t MAX_GROUP = steps.MAX_GROUP
cdef Py_ssize_t MAX_JOINED_CONTENT = steps.MAX_JOINED_CONTENT
cdef Py_ssize_t NOT_COPIED = steps.NOT_COPIED
cdef int MORE = steps.MORE
cdef int LAST = steps.LAST
cdef int GROUP = steps.GROUP
cdef int ENDED = steps.ENDED
cdef int STREAM = steps.STREAM
cdef int CHUNKS = steps.CHUNKS

cdef object is_logged = wire_log.isEnabledFor


cdef bytes as_bytes(data):
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"expected bytes, got {type(data).__name__}")


include "replies.pxi"
include "content.pxi"
include "commands.pxi"
include "output.pxi"
include "words.pxi"
include "addresses.pxi"
include "fields.pxi"
include "serializer.pxi"
include "mail.pxi"
include "transaction.pxi"
include "transcript.pxi"
include "session.pxi"
include "exchanges.pxi"
