# Session: replies are paired with commands. The theory is in aiosmtplib/_session/__init__.py.

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object iter, object arg, PyObject **result) except? PYGEN_ERROR

cdef Py_ssize_t NEVER = PY_SSIZE_T_MAX
cdef int SERVICE_CLOSING = SMTPStatus.domain_unavailable


cdef inline bint holds_part(ReplyParser parser):
    """What ``parser.pending`` says."""
    return PyByteArray_GET_SIZE(parser._partial) + parser._size > 0


cdef class Exchange:
    """Exchange: a dialogue on its way on one connection, and its outcome."""

    cdef public object dialogue
    cdef public object result
    cdef public object error
    cdef public list replies
    cdef public object timeout
    cdef public object pipeline
    cdef public object limit
    cdef public bint reserves
    cdef public int follows
    cdef public Py_ssize_t expected
    cdef public Py_ssize_t start
    cdef public Py_ssize_t end
    cdef object _said
    cdef bint _secret

    def __cinit__(self):
        self.replies = []

    def __init__(self, dialogue, timeout=None, pipeline=None):
        self.dialogue = dialogue
        self.timeout = timeout
        self.pipeline = pipeline

    def on_done(self):
        pass


@cython.final
cdef class Session:
    """Session: the state of SMTP on one connection, without I/O."""

    cdef public Exchange head
    cdef public Exchange last
    cdef public object lost
    cdef public bint closing
    cdef public list out
    cdef public list done
    cdef public object observer
    cdef public object running
    cdef public Py_ssize_t scheduled
    cdef public bint greeted
    cdef public object greeting
    cdef public object unseen
    cdef public bint after_secret
    cdef TranscriptRing _transcript
    cdef int _code
    cdef Py_ssize_t _heard
    cdef ReplyParser _parser

    def __cinit__(self):
        self._parser = ReplyParser()
        self.running = deque()
        self.out = []
        self.done = []
        self._transcript = TranscriptRing()

    def __init__(self, bint greeted=False):
        self.greeted = greeted

    def renewed(self):
        cdef Session session = Session(True)
        session._transcript = self._transcript
        session.observer = self.observer
        return session

    @property
    def interrupted(self):
        return self.lost is not None or self._parser.pending

    def __contains__(self, exchange):
        return exchange in self.running

    cpdef object start(self, Exchange exchange):
        cdef bint greeted = self.greeted
        if exchange is None:
            raise TypeError("an exchange starts, not None")
        self.greeted = True
        self.greeting = None
        self.running.append(exchange)
        self.last = exchange
        if self.head is None:
            self.head = exchange
        self.step(exchange, None, 0)
        if not greeted and exchange.end > exchange.start and holds_part(self._parser):
            take_fragment(self, 0)

    def push(self, Exchange exchange not None, data, Py_ssize_t replies=0, *, bint last=False):
        cdef Py_ssize_t size = self.scheduled
        cdef object header = b""
        self._write(data)
        size = self.scheduled - size
        said = exchange._said
        if isinstance(said, list):
            header = header_of(data if isinstance(data, bytes) else data[0])
            said.append(header)
            del said[: -2 * KEPT]
        elif isinstance(said, int):
            exchange._said = said + size
        if self.observer is not None:
            self.observer.pushed(header, size, replies, last)
        exchange.expected += replies
        if last:
            exchange.end = self.scheduled
            exchange.follows = LAST

    @cython.boundscheck(False)
    @cython.wraparound(False)
    cpdef bint receive(self, data, Py_ssize_t max_line, Py_ssize_t max_reply, Py_ssize_t written) except -1:
        cdef list replies, held, part
        cdef Exchange head
        cdef Py_ssize_t count, taken, i, at = 0
        cdef int code
        if self.lost is not None:
            return False
        self._heard += len(data)
        replies = self._parser.feed(data, max_line, max_reply)
        count = PyList_GET_SIZE(replies)
        while at < count and self.lost is None:
            head = self.head
            if head is None:
                take_unasked(self, replies[at], written)
                at += 1
                continue
            if written < head.end and written <= head.start:
                take_unasked(self, replies[at], written)
                break
            held = head.replies
            if held is None:
                raise TypeError("the replies of an exchange are a list, not None")
            taken = min(count - at, head.expected - PyList_GET_SIZE(held))
            if taken <= 0:  # to a piece of content that has not been pushed
                take_unasked(self, replies[at], written)
                break
            part = replies if taken == count else replies[at : at + taken]
            at += taken
            if self.observer is not None:
                self.observer.heard(part)
            for i in range(taken):
                code = code_of(part[i])
                if code == SERVICE_CLOSING or code < 0:
                    take_goodbye(self, part[i], part[:i], written)
                    return True
            if PyList_GET_SIZE(held):
                held += part
            else:
                head.replies = held = part
            if PyList_GET_SIZE(held) == head.expected and head.follows != CHUNKS:
                head.replies = []
                self.keep(head, held)
                if written < head.end:
                    take_early(self, held, written)
                else:
                    self.step(head, held, written)
        if holds_part(self._parser) and self.lost is None:
            head = self.head
            if self.greeted if head is None else head.start >= written < head.end:
                take_fragment(self, written)
        return count > 0

    def fail(self, error, Py_ssize_t written):
        fail(self, error, written)

    cpdef object step(self, Exchange exchange, list replies, Py_ssize_t written):
        cdef PyObject *got = NULL
        cdef Py_ssize_t expected
        cdef int follows, place = NEW
        cdef bint over = False
        if exchange is None:
            raise TypeError("a step is of an exchange, not of None")
        try:
            dialogue = exchange.dialogue
            step = None
            if type(dialogue) is Transaction and (<Transaction>dialogue)._dialogue is None:
                step = (<Transaction>dialogue).step(replies)
                place = (<Transaction>dialogue)._place
                over = place == OVER
            if step is None:
                place = NEW
                over = PyIter_Send(dialogue, replies, &got) == PYGEN_RETURN
                step = <object>got
                Py_DECREF(step)
        except Exception as error:
            if isinstance(error, SMTPException):
                self.attach_transcript(error)
            exchange.error = error
        else:
            if not over:
                data, expected, follows = step
                if expected < 0:
                    lost = SMTPServerDisconnected("Connection closed: replies no longer match commands")
                    fail(self, lost, written)
                    return
                exchange.start = self.scheduled
                self._write(data)
                exchange.end = self.scheduled if follows < STREAM else NEVER
                exchange.follows = follows
                exchange.expected = expected
                self._describe(exchange, data, replies, place)
                return
            exchange.result = step
        running = self.running
        running.remove(exchange)
        self.head = running[0] if running else None
        self.last = running[-1] if running else None
        self.done.append(exchange)

    cdef int _describe(self, Exchange exchange, data, list replies, int place) except -1:
        """Set the form in which a step is kept in the transcript. The code of the reply before it decides."""
        cdef Py_ssize_t size = self.scheduled - exchange.start
        exchange._secret = False
        if place == ENVELOPE:
            exchange._said = data
        elif place == CONTENT:
            exchange._said = size
        else:
            self._describe_any(exchange, data, replies, size)
        if self.observer is not None:
            self.observer.said(exchange._said, size, exchange.expected, exchange._secret)
        return 0

    cdef int _describe_any(self, Exchange exchange, data, list replies, Py_ssize_t size) except -1:
        cdef int code = 0
        if replies is not None:
            code = code_of(replies[-1])
        elif len(self.running) == 1:
            code = self._code
        if exchange.follows >= STREAM:
            exchange._said = 0 if exchange.follows == STREAM else []
        elif size and (code < 300 or code >= 400) and of_a_mail(data if type(data) is bytes else data[0]):
            exchange._said = commands_of(data if type(data) is bytes else data[0])
        else:
            exchange._said, exchange._secret = form_of(data if type(data) is bytes else data[0], size, code)
        return 0

    cpdef object keep(self, Exchange exchange, list replies):
        cdef Py_ssize_t count
        cdef bint short
        if exchange is None or replies is None:
            raise TypeError("an exchange and a list of replies are kept, not None")
        count = PyList_GET_SIZE(replies)
        said, exchange._said = exchange._said, None
        if said is None:
            return
        self.after_secret = exchange._secret
        short = type(said) is int or (type(said) is bytes and PyBytes_GET_SIZE(said) <= LONG)
        if not short or self.after_secret or self._heard > LONG or count < exchange.expected:
            self._transcript.add_entry(entry_of(said, replies, exchange.expected, self.after_secret, self._heard))
        elif count > KEPT:
            self._transcript.add((said,) if type(said) is bytes else said, replies[count - KEPT :])
        else:
            # A generator may go on with the list as with its own.
            self._transcript.add(said, replies if type(exchange.dialogue) is Transaction else tuple(replies))
        self._heard = 0
        if count:
            self._code = code_of(replies[count - 1])

    def add_entry(self, entry):
        self._transcript.add_entry(entry)

    def attach_transcript(self, error):
        if error.transcript is EMPTY_TRANSCRIPT:
            error.transcript = self.transcript()

    def transcript(self):
        return self._transcript.transcript()

    def write(self, data):
        self._write(data)
        if data:
            self._transcript.add(len(data), ())
            if self.observer is not None:
                self.observer.said(len(data), len(data), 0, False)

    cdef int _write(self, data) except -1:
        """Append bytes to ``out``."""
        if not data:
            return 0
        if isinstance(data, bytes):
            self.out.append(data)
            self.scheduled += PyBytes_GET_SIZE(data)
        else:
            for piece in data:
                self.out.append(piece)
                self.scheduled += len(piece)
        return 0
