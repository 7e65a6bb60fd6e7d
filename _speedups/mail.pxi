# Data of a mail transaction. aiosmtplib/_codec/pure/mail.py says what each attribute is.

from libc.stdio cimport snprintf


cdef class ServerState:
    """State of a server: the transaction that it may have open (RFC 5321 section 4.1.4)."""

    cdef public PreparedMail mail
    cdef public bint failed


@cython.final
cdef class PreparedMail:
    """Message and envelope, encoded for one server."""

    cdef public object sender
    cdef public object recipients
    cdef public bytes commands
    cdef public object content
    cdef public bint pipelined
    cdef public bint chunked
    cdef public bint per_recipient
    cdef public bint aborted
    cdef public object left_over

    def __init__(
        self, sender, recipients, commands, content, bint pipelined=False, bint chunked=False, bint per_recipient=False
    ):
        self.sender = sender
        self.recipients = recipients
        self.commands = commands
        self.content = content
        self.pipelined = pipelined
        self.chunked = chunked
        self.per_recipient = per_recipient
        self.aborted = False
        self.left_over = ()

    def rest(self):
        lines = self.commands.splitlines(keepends=True)
        return PreparedMail(
            self.sender,
            [self.recipients[place] for place in self.left_over],
            lines[0] + b"".join([lines[place + 1] for place in self.left_over]),
            self.content,
            self.pipelined,
            self.chunked,
            self.per_recipient,
        )


cdef class EncodedEnvelope:
    """Sender and recipients of a message, and their command lines."""

    cdef public object sender
    cdef public object recipients
    cdef public bytes mail
    cdef public bytes parameters
    cdef public bytes rcpts
    cdef public bint utf8
    cdef public bint binary
    cdef public bint open

    def __cinit__(self):
        self.sender = ""
        self.recipients = ()
        self.mail = self.parameters = self.rcpts = b""

    cdef bytes lines(self, Py_ssize_t size):
        """The command lines, with SIZE among the parameters of MAIL unless it is negative."""
        cdef char[32] parameter
        cdef Py_ssize_t written = 0, mail, others, rcpts
        cdef char *out
        if self.mail is None or self.parameters is None or self.rcpts is None:
            raise TypeError("an envelope has command lines")
        mail, others = PyBytes_GET_SIZE(self.mail), PyBytes_GET_SIZE(self.parameters)
        rcpts = PyBytes_GET_SIZE(self.rcpts)
        if size >= 0:
            written = snprintf(parameter, sizeof(parameter), b" size=%zd", size)
        result = PyBytes_FromStringAndSize(NULL, mail + written + others + 2 + rcpts)
        out = PyBytes_AS_STRING(result)
        memcpy(out, PyBytes_AS_STRING(self.mail), mail)
        out += mail
        memcpy(out, parameter, written)
        out += written
        memcpy(out, PyBytes_AS_STRING(self.parameters), others)
        out += others
        memcpy(out, b"\r\n", 2)
        memcpy(out + 2, PyBytes_AS_STRING(self.rcpts), rcpts)
        return result

    def prepare(self, content, Py_ssize_t size, bint pipelined, bint chunked, bint per_recipient):
        cdef PreparedMail mail = PreparedMail.__new__(PreparedMail)
        mail.sender = self.sender
        mail.recipients = self.recipients
        mail.commands = self.lines(size)
        mail.content = content
        mail.pipelined = pipelined
        mail.chunked = chunked
        mail.per_recipient = per_recipient
        mail.left_over = ()
        return mail


def plain_envelope(sender, recipients):
    cdef EncodedEnvelope envelope
    cdef list everyone
    cdef bytes mail
    cdef Py_ssize_t size
    if type(recipients) is str:
        everyone = [recipients]
    elif type(recipients) is list or type(recipients) is tuple:
        everyone = list(recipients)
    else:
        return None
    if not everyone or not is_plain_address(sender):
        return None
    rcpts = recipient_lines(everyone, b"")
    if rcpts is None:
        return None
    size = PyUnicode_GET_LENGTH(sender)
    mail = PyBytes_FromStringAndSize(NULL, size + 12)
    memcpy(PyBytes_AS_STRING(mail), b"MAIL FROM:<", 11)
    memcpy(PyBytes_AS_STRING(mail) + 11, PyUnicode_1BYTE_DATA(sender), size)
    PyBytes_AS_STRING(mail)[size + 11] = c'>'
    envelope = EncodedEnvelope.__new__(EncodedEnvelope)
    envelope.sender = sender
    envelope.recipients = everyone
    envelope.mail = mail
    envelope.rcpts = rcpts
    return envelope
