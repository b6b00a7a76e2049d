"""A proxy between an HTTP client and a server that spoils what it is told to, and passes everything else on as it is.

The Host header stays, so that signatures stay valid. A rule says which requests it is for and what happens to them:

    proxy = FaultProxy(bench.port(), server_port)
    rule = proxy.add(Answer(503, "SlowDown"), method="PUT", path=r"/\\.metadata/", times=2)
    ...
    rule.hits                           # how often it was applied
    proxy.clear()

Rules are tried in order; the first that matches and is not used up is applied. `path` is a regular expression for what
stands after the host, as sent: "/bucket/key?uploads=".
"""
import re
import select
import socket
import struct
import threading
from xml.sax.saxutils import escape

PIECE = 1 << 16


class Broken(Exception):
    """The connection is to end now."""


# --- what can happen ---

class Action:
    """Nothing. What others do they do by overriding."""

    def answer(self, exchange):
        """Bytes of an answer, in the server's place."""
        return None

    def forget_answer(self):
        """The server did it, and the client shall not hear."""
        return False

    def head(self, lines):
        """The head of the answer as a list of lines."""
        return lines

    def request_body(self, exchange, at, piece):
        """A piece of the body that begins at `at`."""
        return piece

    def response_body(self, exchange, at, piece):
        return piece


class Answer(Action):
    """Says so in the server's place, which never hears of it."""

    def __init__(self, status, code, message="injected", **headers):
        self.status, self.code, self.message, self.headers = status, code, message, headers

    def answer(self, exchange):
        body = b"" if exchange.method == "HEAD" else (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message>'
            f"<RequestId>INJECTED</RequestId></Error>").encode()
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in self.headers.items())
        return f"HTTP/1.1 {self.status} Injected\r\nContent-Type: application/xml\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Lost(Action):
    """The server does it, and the connection is reset instead of an answer."""

    def forget_answer(self):
        return True


class Header(Action):
    """Another value for a header of the answer."""

    def __init__(self, name, value):
        self.name, self.value = name, value

    def head(self, lines):
        return [line for line in lines if line.split(":")[0].lower() != self.name.lower()] + [f"{self.name}: {self.value}"]


class InBody(Action):
    """Something happens after `after` bytes of a body. `where`: "request" or "response"."""

    def __init__(self, where, after=0):
        self.where, self.after = where, after

    def request_body(self, exchange, at, piece):
        return self.piece(exchange, at, piece) if self.where == "request" else piece

    def response_body(self, exchange, at, piece):
        return self.piece(exchange, at, piece) if self.where == "response" else piece

    def piece(self, exchange, at, piece):
        if at + len(piece) > self.after:
            return self.spoil(exchange, self.after - at if at < self.after else 0, piece)
        return piece

    def spoil(self, exchange, at, piece):
        """What is left of a piece that goes beyond `after`, which is its byte `at`."""
        raise NotImplementedError


class Reset(InBody):
    def spoil(self, exchange, at, piece):
        exchange.pass_on(self.where, piece[:at])
        reset(exchange.client)
        raise Broken


class Truncate(InBody):
    """The connection is closed in good order, but too early."""

    def spoil(self, exchange, at, piece):
        exchange.pass_on(self.where, piece[:at])
        raise Broken


class Stall(InBody):
    """Nothing more comes, until release() or the client has enough."""

    def __init__(self, where, after=0):
        super().__init__(where, after)
        self.reached, self.released = threading.Event(), threading.Event()

    def release(self):
        self.released.set()

    def spoil(self, exchange, at, piece):
        if not self.released.is_set():
            exchange.pass_on(self.where, piece[:at])
            piece = piece[at:]
            self.reached.set()
            while not self.released.wait(0.05):
                if exchange.client_is_gone() or exchange.proxy.stopped:
                    raise Broken
        return piece


class Corrupt(InBody):
    """One bit of the byte at `after` is wrong."""

    def spoil(self, exchange, at, piece):
        return piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1:] if exchange.at <= self.after else piece


class Shorten(Action):
    """An answer of only `length` bytes that looks complete: its Content-Length says the same."""

    def __init__(self, length):
        self.length = length

    def head(self, lines):
        kept = [line for line in lines if line.split(":")[0].lower() not in ("content-length", "transfer-encoding")]
        return kept + [f"Content-Length: {self.length}"]

    def response_body(self, exchange, at, piece):
        return piece[:max(0, self.length - at)]


class Rule:
    def __init__(self, action, method=None, path="", skip=0, times=None):
        self.action, self.method, self.path, self.skip, self.times = action, method, re.compile(path), skip, times
        self.seen = self.hits = 0

    def takes(self, method, target):
        """Call with the proxy's lock."""
        if self.method not in (None, method) or not self.path.search(target):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


# --- the proxy ---

class FaultProxy:
    """Listens on 127.0.0.1:port from the beginning. As a forward proxy (to_port None) it goes to the port that the client says,
    by an absolute URL or CONNECT; every host is this host."""

    def __init__(self, port, to_port):
        self.port, self.to_port, self.stopped = port, to_port, False
        self.rules, self.log = [], []  # log: "PUT /bucket/key"
        self.lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def add(self, action, **match):
        rule = Rule(action, **match)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.lock:
            self.rules.clear()

    def stop(self):
        self.stopped = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def action_for(self, method, target):
        with self.lock:
            self.log.append(f"{method} {target}")
            return next((rule.action for rule in self.rules if rule.takes(method, target)), Action())

    def _accept(self):
        while not self.stopped:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=Connection(self, client).serve, daemon=True).start()


class Connection:
    """One client's, with one of our own to the server. A request and its answer at a time, which Action calls exchange."""

    def __init__(self, proxy, client):
        self.proxy, self.client, self.server = proxy, client, None
        self.reader = self.server_reader = None
        self.method, self.at, self.in_chunks = "", 0, False

    def serve(self):
        try:
            self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.reader = self.client.makefile("rb")
            while not self.proxy.stopped and self.one_exchange():
                pass
        except (Broken, OSError, ValueError):
            pass
        finally:
            for thing in (self.reader, self.server_reader, self.client, self.server):
                if thing is not None:
                    try:
                        thing.close()
                    except OSError:
                        pass

    def connect(self, port):
        self.server = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server_reader = self.server.makefile("rb")

    def one_exchange(self):
        """Whether another may follow."""
        lines, fields = read_head(self.reader)
        if not lines:
            return False
        self.method, target, _ = lines[0].split(" ", 2)
        if self.method == "CONNECT":
            return self.tunnel(target)
        if self.proxy.to_port is None:
            host, _, target = target.removeprefix("http://").partition("/")
            target, lines[0] = "/" + target, lines[0].replace(f"http://{host}", "", 1)
            if self.server is None:
                self.connect(int(host.rsplit(":", 1)[1]))
        elif self.server is None:
            self.connect(self.proxy.to_port)
        action = self.proxy.action_for(self.method, target)
        length = int(fields.get("content-length", 0))
        answer = action.answer(self)
        expects = fields.get("expect", "").lower() == "100-continue"
        if answer is not None:
            if expects:
                self.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            for _ in pieces(self.reader, length):
                pass
            self.client.sendall(answer)
            return True
        self.server.sendall(joined(lines))
        if expects:
            lines, answer_fields = read_head(self.server_reader)
            if not lines:
                return False
            if lines[0].split(" ")[1] != "100":  # refused; the body will not come
                return self.pass_answer(action, lines, answer_fields)
            self.client.sendall(joined(lines))
        self.pass_request_body(action, length)
        lines, fields = read_head(self.server_reader)
        while lines and lines[0].split(" ")[1] == "100":
            lines, fields = read_head(self.server_reader)
        if not lines:
            return False
        if action.forget_answer():
            for _ in pieces(self.server_reader, self.answer_length(lines, fields)):
                pass
            reset(self.client)
            return False
        return self.pass_answer(action, lines, fields)

    def pass_request_body(self, action, length):
        self.at, listens = 0, True
        for piece in pieces(self.reader, length):
            piece, size = action.request_body(self, self.at, piece), len(piece)
            try:
                if listens:
                    self.server.sendall(piece)
            except OSError:
                listens = False  # it has answered already, and the client shall read that
            self.at += size

    def answer_length(self, lines, fields):
        status = int(lines[0].split(" ")[1])
        return 0 if self.method == "HEAD" or status in (204, 304) else int(fields.get("content-length", -1))

    def pass_answer(self, action, lines, fields):
        """Whether the server goes on listening."""
        comes_in_chunks = fields.get("transfer-encoding", "").lower() == "chunked" and self.method != "HEAD"
        body = chunks(self.server_reader) if comes_in_chunks else pieces(self.server_reader, self.answer_length(lines, fields))
        lines = action.head(lines)
        self.client.sendall(joined(lines))
        self.in_chunks = comes_in_chunks and any(line.lower().startswith("transfer-encoding:") for line in lines)
        self.at = 0
        for piece in body:
            piece, size = action.response_body(self, self.at, piece), len(piece)
            self.pass_on("response", piece)
            self.at += size
        if self.in_chunks:
            self.client.sendall(b"0\r\n\r\n")
        return fields.get("connection", "").lower() != "close"

    def tunnel(self, target):
        self.proxy.action_for("CONNECT", target)
        self.connect(int(target.rsplit(":", 1)[1]))
        self.client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def back():
            try:
                while piece := self.server.recv(PIECE):
                    self.client.sendall(piece)
                self.client.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        threading.Thread(target=back, daemon=True).start()
        while piece := self.reader.read1(PIECE):
            self.server.sendall(piece)
        return False

    def pass_on(self, where, data):
        if where == "request":
            self.server.sendall(data)
        elif data:
            self.client.sendall(b"%x\r\n%s\r\n" % (len(data), data) if self.in_chunks else data)

    def client_is_gone(self):
        poll = select.poll()
        poll.register(self.client, select.POLLRDHUP)
        return bool(poll.poll(0))


def read_head(reader):
    """(lines, {lower-case name: value}); ([], {}) at the end."""
    lines = []
    while True:
        line = reader.readline(PIECE)
        if not line:
            return [], {}
        line = line.rstrip(b"\r\n").decode("latin-1")
        if not line:
            break
        lines.append(line)
    return lines, {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}


def joined(lines):
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def pieces(reader, length):
    """Of a body; -1: until the end. Raises Broken if it ends early."""
    while length:
        piece = reader.read1(PIECE if length < 0 else min(PIECE, length))
        if not piece:
            if length < 0:
                return
            raise Broken
        length -= len(piece) if length > 0 else 0
        yield piece


def chunks(reader):
    """What a body in chunks holds, without trailers."""
    while size := int(reader.readline().split(b";")[0], 16):
        yield from pieces(reader, size)
        reader.readline()
    reader.readline()


def reset(connection):
    """When it is closed: RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
