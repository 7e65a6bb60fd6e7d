# Data of a mail transaction. aiosmtplib/_codec/pure/mail.py says what each attribute is.


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
