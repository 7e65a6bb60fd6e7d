# Queue of exchanges on one connection. aiosmtplib/_codec/pure/exchanges.py says what a subclass has to have.

cdef Py_ssize_t JOINED = steps.MAX_JOINED
cdef Py_ssize_t PIECE = steps.WRITE_SIZE
cdef Py_ssize_t WATCHED = steps.WATCHED_SIZE
cdef Py_ssize_t READ_SIZE = steps.READ_SIZE


cdef bint is_held(pipeline) except -1:
    """What ``is_paused`` says of an exchange of this pipeline."""
    paused = getattr(pipeline, "is_paused", None)
    return paused is not None and paused()


cdef class ExchangeQueue:
    """Queue of exchanges on one connection: those that run and those that wait, and what they write."""

    cdef public object transport
    cdef public bint lost
    cdef public object _loop
    cdef public bint _paused
    cdef public Session _session
    cdef public object _waiting
    cdef public object _observer
    cdef public object _reserved_for
    cdef public object pending
    cdef public object _deadline
    cdef object _read_buffer
    cdef bytearray _read
    cdef public Py_ssize_t _written

    def __cinit__(self):
        self._session = Session()
        self._waiting = WaitingExchanges()
        self.pending = deque()
        self._read = bytearray(READ_SIZE)
        self._read_buffer = memoryview(self._read)

    # -- the queue ---------------------------------------------------------------------------------------------

    cdef bint connected(self) except -1:
        if self.transport is None or self._session.lost is not None:
            return False
        if self._loop is not None and self._loop is not running_loop() and self._loop.is_closed():
            return False
        return not self.transport.is_closing()

    @property
    def is_connected(self):
        return self.connected()

    def submit(self, Exchange exchange not None):
        cdef bint others = False
        if not self.connected():
            self._refuse()
        if self._waiting:
            others = self._reserved_for is None or not self._is_its_holder()
            others = others and self._waiting.next() is not None
        if others or (exchange.pipeline is not None and is_held(exchange.pipeline)) or not self.may_begin(exchange):
            self._waiting.append(exchange)
            return
        self.begin(exchange)
        self.begun()

    def go_on(self):
        if self._waiting:
            self.begin_waiting()
            self.begun()

    cdef int begun(self) except -1:
        if self._session.done:
            self.complete()
        self.write_out()
        if self._observer is not None:
            self._observer.deliver()
        return 0

    cdef bint may_begin(self, Exchange exchange) except -1:
        cdef Session session = self._session
        if session.head is None:
            return self._reserved_for is None or self._is_its_holder()
        if exchange.pipeline is None or exchange.pipeline is not session.head.pipeline:
            return False
        return session.last.follows == LAST or session.last.follows == GROUP

    cdef int begin(self, Exchange exchange) except -1:
        cdef Session session = self._session
        self._reserved_for = None
        if exchange.limit is not None:
            exchange.limit.begin()
        # One that is observed from amidst others on would take their replies for its own.
        if self._observer is not None or (session.head is None and is_logged(DEBUG)):
            self._announce(exchange)
        session.start(exchange)
        if session.head is exchange:
            self.expect(exchange)
            if exchange.timeout is not None and exchange.timeout <= 0:
                self._run_out()
        elif session.lost is not None:
            self._lose(SMTPServerDisconnected(session.lost))
        return 0

    cdef int begin_waiting(self) except -1:
        while not self.lost:
            exchange = self._waiting.next()
            if exchange is None or not self.may_begin(exchange):
                break
            self._waiting.remove(exchange)
            self.begin(exchange)
        return 0

    # -- replies -----------------------------------------------------------------------------------------------

    def get_buffer(self, sizehint):
        return self._read_buffer

    def buffer_updated(self, Py_ssize_t nbytes):
        octets = self._read
        if octets is None or not 0 <= nbytes <= PyByteArray_GET_SIZE(octets):
            raise ValueError("more octets than there is room for")
        self.data_received(PyBytes_FromStringAndSize(PyByteArray_AS_STRING(octets), nbytes))

    def data_received(self, data):
        pass

    def receive(self, data, Py_ssize_t max_line, Py_ssize_t max_reply):
        if self._reserved_for is self:  # between the 220 to STARTTLS and the handshake (RFC 3207 section 6)
            self._intruded()
            return
        observer = self._observer
        if observer is not None:
            observer.received(data)
        self.take_replies(data, max_line, max_reply)
        if observer is not None:
            observer.deliver()

    cdef int take_replies(self, data, Py_ssize_t max_line, Py_ssize_t max_reply) except -1:
        cdef Session session = self._session
        cdef bint progress = session.receive(data, max_line, max_reply, self._written)
        cdef Exchange head
        if session.lost is not None:
            self._lose(SMTPServerDisconnected(session.lost))
            return 0
        if not progress:
            return 0
        if session.done:
            self.complete()
        if self._waiting:
            self.begin_waiting()
            self.complete()
        if session.out:
            self.write_out()
        head = session.head
        if head is None:
            return 0
        if head.follows >= STREAM:
            self._expect_content(head)
        else:
            self.expect(head)
        return 0

    def notify_done(self):
        self.complete()

    cdef int complete(self) except -1:
        cdef Session session = self._session
        cdef list done
        cdef Exchange exchange
        while session.done:
            done = session.done
            session.done = []
            if session.head is None:
                self._deadline.at = None
            for exchange in done:
                if exchange.reserves:
                    self._reserve(exchange)
                exchange.on_done()
            if self._waiting and session.head is None:
                self.begin_waiting()
        return 0

    # -- the deadline ------------------------------------------------------------------------------------------

    def expect_reply(self, Exchange exchange not None):
        self.expect(exchange)

    cdef int expect(self, Exchange exchange) except -1:
        cdef object seconds = exchange.timeout
        cdef object limit = exchange.limit
        cdef double at = INFINITY
        if exchange.follows in (LAST, GROUP, ENDED) and self.has_taken(exchange):
            seconds = self._final_seconds(seconds)
        if self._loop is None or (seconds is None and limit is None):
            self._deadline.at = None
            return 0
        if seconds is not None:
            at = <double>self._loop.time() + <double>seconds
            if exchange.follows and exchange.end - exchange.start > WATCHED:
                self._watch(seconds)
        if limit is not None and <double>limit.at < at:
            at = limit.at
        if at < <double>self._deadline.timer_at:
            self._deadline.move(self._loop, at)
        else:
            self._deadline.at = at
        return 0

    cdef bint has_taken(self, Exchange exchange) except -1:
        cdef Py_ssize_t beyond = self._written - exchange.end
        if exchange.follows == GROUP and len(exchange.replies) + 1 < exchange.expected:
            return False
        if beyond < 0 or not self._paused:
            return beyond >= 0
        return <Py_ssize_t>self.transport.get_write_buffer_size() <= beyond

    # -- writing -----------------------------------------------------------------------------------------------

    def flush(self):
        self.write_out()

    cdef int write_out(self) except -1:
        cdef list out = self._session.out
        cdef Py_ssize_t size = 0
        if not out or self.transport is None:
            return 0
        self._session.out = []
        for piece in out:
            size += len(piece)
        if size > (PIECE if PyList_GET_SIZE(out) == 1 else JOINED) or self.pending or self._paused:
            self._write_pieces(out)
        else:
            self._written += size
            self.transport.write(out[0] if PyList_GET_SIZE(out) == 1 else b"".join(out))
        return 0
