# Serialiser of messages of the email package: writes what the generator of the standard library writes.
#
# A message is planned first and written after that. The plan looks at everything that decides how it is
# written, and it alone may find that a message is for the generator; it generates the boundaries that are
# missing, the inner ones first.

cdef int BODY = parts.BODY
cdef int SIGNED = parts.SIGNED
cdef int MESSAGE = parts.MESSAGE
cdef int DELIVERY_STATUS = parts.DELIVERY_STATUS
cdef int MAX_DEPTH = parts.MAX_DEPTH

cdef object mangle_from = re_compile(r"^From ", re_MULTILINE).sub


class Unusual(Exception):
    """Raised for a message that the standard library's generator has to write."""


@cython.final
@cython.freelist(8)
cdef class Part:
    """Plan of a message or part: how it is going to be written."""

    cdef list headers
    cdef int form
    cdef object boundary
    cdef bint generated
    cdef list parts
    cdef object text  # ASCII str, or bytes; or None
    cdef object preamble
    cdef object epilogue


cdef inline bint is_hidden(object name) noexcept:
    return is_called(name, "bcc") or is_called(name, "resent-bcc")


@cython.final
cdef class Writer(Fields):
    """Writer of a planned message."""

    cdef int write(self, Part part, bint top) except -1:
        cdef object rules = self.rules
        for name, value in part.headers:
            if top and is_hidden(name):
                continue
            if part.generated and is_called(name, "content-type"):
                self.add_field(rules.with_boundary(name, str.__str__(value), part.boundary))
            elif not self.write_field(name, value):
                self.add_field(rules.policy.fold_binary(name, value))
        self.newline()
        if part.form == BODY:
            return self.add_content(part.text)
        if part.form == MESSAGE:
            return self.write(<Part>part.parts[0], False)
        if part.form == DELIVERY_STATUS:
            return self.write_blocks(part)
        if part.form == SIGNED:
            self.follow(rules.signed)
        self.write_parts(part)
        if part.form == SIGNED:
            self.follow(rules)
        return 0

    cdef int write_blocks(self, Part part) except -1:
        cdef Py_ssize_t i
        for i in range(PyList_GET_SIZE(part.parts)):
            if i:
                self.newline()
            self.write(<Part>part.parts[i], False)
            if (<unsigned char *>PyBytes_AS_STRING(<object>self.buffer))[self.size - 1] == c'\n':
                self.size -= 1 if self.legacy and not self.wire else 2
        return 0

    cdef int write_parts(self, Part part) except -1:
        cdef Py_ssize_t i, size = PyUnicode_GET_LENGTH(part.boundary)
        cdef const unsigned char *boundary = characters(part.boundary)
        if part.preamble is not None:
            self.add_content(part.preamble)
            self.newline()
        for i in range(PyList_GET_SIZE(part.parts) or 1):
            if i:
                self.newline()
            self.add(b"--", 2)
            self.add(boundary, size)
            self.newline()
            if i < PyList_GET_SIZE(part.parts):
                self.write(<Part>part.parts[i], False)
        self.newline()
        self.add(b"--", 2)
        self.add(boundary, size)
        self.add(b"--", 2)
        self.newline()
        return self.add_content(part.epilogue)


cdef Part plan(message, rules, list lacking, int depth):
    cdef Part part
    cdef object content_type = None
    if depth > MAX_DEPTH or not rules.accepts(type(message)):
        raise Unusual
    part = Part.__new__(Part)
    part.headers = list(message._headers)
    for name, value in part.headers:
        if is_called(name, "content-type"):
            if content_type is not None:
                raise Unusual  # the first one counts, and which one gets the boundary?
            content_type = value
        elif is_called(name, "content-transfer-encoding") and not (PyUnicode_Check(value) and PyUnicode_IS_ASCII(value)):
            raise Unusual  # the generator looks at it, and may raise
    if content_type is None:
        if message._default_type != "text/plain":
            raise Unusual
        part.form = BODY
    else:
        found = rules.content_type(str.__str__(content_type)) if isinstance(content_type, str) else None
        if found is None:
            raise Unusual
        part.form, part.boundary = found
    payload = message._payload
    if part.form == BODY:
        if PyUnicode_CheckExact(payload) and not PyUnicode_IS_ASCII(payload) and not rules.eight_bit:
            message = rules.recoded(message)
            if message is None:
                raise Unusual
            part.headers = message._headers
            payload = message._payload
        if payload is not None:
            part.text = body(payload, rules)
        return part
    if not isinstance(payload, list) or (part.form == MESSAGE and len(payload) != 1):
        raise Unusual
    inner = rules.signed if part.form == SIGNED else rules
    part.parts = []
    for one in list(payload):
        part.parts.append(plan(one, inner, lacking, depth + 1))
    if part.form == MESSAGE or part.form == DELIVERY_STATUS:
        return part
    if part.boundary is None:
        part.generated = True
        lacking.append(part)
    if message.preamble is not None:
        part.preamble = body(message.preamble, rules)
    if message.epilogue is not None:
        part.epilogue = body(message.epilogue, rules)
    return part


cdef object body(text, rules):
    if not PyUnicode_CheckExact(text):
        raise Unusual
    if rules.legacy and "From " in text:
        text = mangle_from(">From ", text)
    if PyUnicode_IS_ASCII(text):
        return text
    if not rules.eight_bit:
        raise Unusual
    try:
        return text.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        raise Unusual from None


cdef int add_boundaries(Part part, list lacking, rules) except -1:
    """Generate the boundaries that are lacking, the inner ones first, as the generator does."""
    cdef list found = []
    cdef set taken
    cdef Part lacked
    look_for_boundaries(part, found)
    boundary = rules.new_boundary()
    taken = {one[:len(boundary)] for one in found}  # all that are generated have one length
    for lacked in lacking:
        while boundary in taken:
            boundary = rules.new_boundary()
        lacked.boundary = boundary
        taken.add(boundary)
        if lacked is not lacking[-1]:
            boundary = rules.new_boundary()
    return 0


cdef int look_for_boundaries(Part part, list taken) except -1:
    """Collect the boundaries in use; raises where a generated one could be in the content."""
    for text in (part.text, part.preamble, part.epilogue):
        if text is not None and may_hold_boundary(text):
            raise Unusual
    if part.boundary is not None:
        taken.append(part.boundary)
    if part.parts is not None:
        for inner in part.parts:
            look_for_boundaries(<Part>inner, taken)
    return 0


cdef bint may_hold_boundary(text) noexcept:
    """Whether a line starts as one with a boundary of the generated form does."""
    cdef const unsigned char *start
    cdef const unsigned char *p
    cdef const unsigned char *end
    if isinstance(text, bytes):
        p = <const unsigned char *>PyBytes_AS_STRING(text)
        end = p + PyBytes_GET_SIZE(text)
    else:
        p = characters(text)
        end = p + PyUnicode_GET_LENGTH(text)
    start = p
    while True:
        p = <const unsigned char *>memchr(p, c'-', end - p)
        if p == NULL or end - p < 3:
            return False
        if p[1] == c'-' and p[2] == c'=' and (p == start or smtp_is_newline((p - 1)[0])):
            return True
        p += 1


def serialize_message(message, rules, int form=0):
    cdef list lacking = []
    cdef Part part
    cdef Writer writer
    cdef Py_ssize_t size
    try:
        part = plan(message, rules, lacking, 0)
        if lacking:
            add_boundaries(part, lacking, rules)
    except Unusual:
        return None
    writer = Writer.__new__(Writer, rules, form)
    writer.write(part, True)
    if form == PLAIN:
        size = writer.size
        return writer.finish(), size
    ended = (<unsigned char *>PyBytes_AS_STRING(<object>writer.buffer))[writer.size - 1] == c'\n'
    if not ended:
        writer.add(b"\r\n", 2)
    size = writer.size - writer.stuffed
    if writer.dots:
        writer.add(b".\r\n", 3)
    return writer.finish(), size


def serialize_field(name, value, rules):
    cdef Writer writer = Writer.__new__(Writer, rules, PLAIN)
    return writer.finish() if writer.write_field(name, value) else None
