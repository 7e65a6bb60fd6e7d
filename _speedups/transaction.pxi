# Mail transaction (RFC 5321 section 3.3) without a refusal. aiosmtplib/_session/transaction.py does all others.

cdef bytes DATA_COMMAND = b"DATA\r\n"
cdef bytes RSET_COMMAND = b"RSET\r\n"

cdef enum:
    NEW
    ENVELOPE
    CONTENT
    WHOLE  # with BDAT
    OVER

cdef int COMPLETED = SMTPStatus.completed
cdef int START_INPUT = SMTPStatus.start_input


@cython.final
cdef class Transaction:
    """Mail transaction in one group of commands, as long as no reply to it is a refusal.

    After a refusal, or in any other case, the dialogue ``general(mail, server)`` goes on. It is run from its start with
    the replies that came by then.
    """

    cdef PreparedMail _mail
    cdef ServerState _server
    cdef object _general
    cdef object _content
    cdef list _replies
    cdef object _dialogue
    cdef int _place
    cdef bint _resetting
    cdef bint _failed

    cdef object step(self, list replies):
        """The next step, or the outcome where ``_place`` is ``OVER`` then; None where ``general`` has to go on."""
        cdef PreparedMail mail = self._mail
        if self._place == ENVELOPE:
            if wants_all(replies):
                self._replies = replies
                self._server.mail = None
                self._place = CONTENT
                return self._content, 1, LAST
        elif self._place == CONTENT:
            if 200 <= code_of(replies[0]) < 300:
                self._place = OVER
                return {}, replies[0]
        elif self._place == WHOLE:
            if takes_all(replies, self._resetting):
                if self._resetting:
                    self._server.failed = False
                if self._server.mail is mail:
                    self._server.mail = None
                self._place = OVER
                return {}, replies[len(replies) - 1]
        elif mail.chunked:
            return self.group()
        elif self._server.mail is None and mail.pipelined and not mail.chunked and not mail.per_recipient:
            self._content = mail.content
            recipients = len(mail.recipients)
            if self._content is not None and recipients <= MAX_GROUP:
                self._server.mail = mail
                self._place = ENVELOPE
                return mail.commands + DATA_COMMAND, recipients + 2, MORE
        return None

    cdef object group(self):
        """The transaction as one group, the content included (RFC 3030); None where ``general`` has to go on."""
        cdef PreparedMail mail = self._mail
        cdef ServerState server = self._server
        content = mail.content
        cdef Py_ssize_t recipients = len(mail.recipients)
        self._resetting = server.mail is not None
        self._failed = server.failed
        if not mail.pipelined or type(content) is not bytes or recipients > MAX_GROUP:
            return None
        if self._resetting and self._failed:
            return None
        server.mail = mail
        self._place = WHOLE
        header = b"%bBDAT %d LAST\r\n" % (mail.commands, PyBytes_GET_SIZE(content))
        if self._resetting:
            header = RSET_COMMAND + <bytes>header
        data = <bytes>header + <bytes>content if PyBytes_GET_SIZE(content) < MAX_JOINED_CONTENT else (header, content)
        return data, recipients + 2 + self._resetting, GROUP

    cdef object general(self):
        """The dialogue ``general(mail, server)``, brought to the place of this one."""
        if self._dialogue is None:
            server_mail = self._server.mail
            self._dialogue = self._general(self._mail, self._server)
            if self._place == WHOLE:
                # It begins with what was known of the server when this one did.
                server_failed, self._server.failed = self._server.failed, self._failed
                self._server.mail = self._mail if self._resetting else None
                self._dialogue.send(None)
                self._server.mail, self._server.failed = server_mail, server_failed
            elif self._place != NEW:
                self._server.mail = None
                self._dialogue.send(None)
                if self._place == CONTENT:
                    self._dialogue.send(list(self._replies))
                    # The transaction that follows may have begun.
                    self._server.mail = server_mail
        return self._dialogue

    def send(self, replies):
        if self._dialogue is None:
            step = self.step(replies)
            if self._place == OVER:
                raise StopIteration(step)
            if step is not None:
                return step
        # The list is kept by the session as it is.
        return self.general().send(replies if replies is None else list(replies))

    def throw(self, error):
        return self.general().throw(error)

    def close(self):
        self.general().close()


def start_transaction(PreparedMail mail not None, ServerState server not None, general):
    cdef Transaction transaction = Transaction.__new__(Transaction)
    transaction._mail = mail
    transaction._server = server
    transaction._general = general
    return transaction


cdef bint takes_all(list replies, bint resetting) except -1:
    """Whether the server accepted all of a group with BDAT: RSET if there is one, sender, recipients and content."""
    cdef Py_ssize_t i
    for i in range(1 + resetting):
        if code_of(replies[i]) != COMPLETED:
            return False
    for i in range(1 + resetting, len(replies)):
        if not 200 <= code_of(replies[i]) < 300:
            return False
    return True


cdef bint wants_all(list replies) except -1:
    """Whether the server accepted sender and recipients, and waits for the content."""
    cdef Py_ssize_t i, last = len(replies) - 1
    if code_of(replies[0]) != COMPLETED or code_of(replies[last]) != START_INPUT:
        return False
    for i in range(1, last):
        if not 200 <= code_of(replies[i]) < 300:
            return False
    return True
