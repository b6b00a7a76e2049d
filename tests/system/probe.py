"""Probes that several system tests share: raw TLS connections, numbers of /metrics, modes, a save that stands still."""
import os
import pathlib
import re
import signal
import socket
import ssl
import stat
import time

from harness import check, wait_for


def mode(path):
    return oct(stat.S_IMODE(os.lstat(path).st_mode))


def connect(server, timeout=30, tls=True):
    """A connection to the supervisor, TLS already shaken."""
    raw = socket.create_connection(("127.0.0.1", server.supervisor_port), timeout=timeout)
    if not tls:
        return raw
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(raw)


def read_all(connection):
    """What comes until the peer closes, however it does that."""
    out = b""
    try:
        while piece := connection.recv(65536):
            out += piece
    except OSError:
        pass
    return out


def read_answer(connection):
    """(code, headers, body) of one HTTP answer with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        check(piece, "the connection ended within", data)
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    while len(body) < int(headers["content-length"]):
        piece = connection.recv(65536)
        check(piece, "the connection ended within the body", body)
        body += piece
    return int(lines[0].split()[1]), headers, body


def metrics(server):
    """{'holdfast_etcd_snapshot_count': 2.0, 'x_count{status="success"}': 1.0}"""
    code, text = server.get("/metrics", password=server.password)
    check(code == 200, "/metrics", code, text)
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in text.splitlines() if line and not line.startswith("#")}


def wait_for_new_etcd(server, restarts=1):
    """After etcd was killed: that the server has noticed and started another one. /readyz alone may still say what was."""
    wait_for(lambda: metrics(server)["holdfast_etcd_restarts_total"] >= restarts and server.get("/readyz")[0] == 200, "etcd to be back")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def parts(directory, pattern="*.part"):
    return sorted(pathlib.Path(directory).glob(pattern))


class StalledSave:
    """A save that has begun and goes on only at release(): etcd is stopped in the middle of its stream.

    `start` begins a save (whose unfinished file has a name like `pattern`) and returns what belongs to it. The server needs some 30 MB of data, so that the stream does not
    fit in the buffers on its way."""

    MEGABYTES = 32

    def __init__(self, server, start, pattern="*.part"):
        self.server, self.pattern = server, pattern
        self.pids = server.etcd_pids()  # looked for before: a fast save does not wait for pgrep
        for _ in range(20):
            self.started = start()
            end = time.monotonic() + 30
            while not self.parts() and time.monotonic() < end:
                os.sched_yield()  # a save takes some tenths of a second: be quick
            self.signal(signal.SIGSTOP)
            # It stands still if the unfinished file stays, and does not grow.
            if self.stands():
                return
            self.signal(signal.SIGCONT)
            wait_for(lambda: not parts(server.snapshots), "the save to end")
        raise AssertionError("no save could be stopped in its middle")

    def parts(self):
        return parts(self.server.snapshots, self.pattern)

    def stands(self):
        sizes = []

        def same_for_a_while():
            sizes.append(sum(p.stat().st_size for p in self.parts() if p.exists()))
            return not self.parts() or len(sizes) > 8 and len(set(sizes[-5:])) == 1

        wait_for(same_for_a_while, "the save to stand still or end")
        return bool(self.parts())

    def signal(self, number):
        for pid in self.pids:
            os.kill(pid, number)

    def release(self):
        self.signal(signal.SIGCONT)


def fill_for_stall(server):
    """Enough data for StalledSave."""
    server.fill(StalledSave.MEGABYTES * 100, value_size=10_000)


def log_lines(text):
    """The (level, message) pairs of a log that is not on a terminal."""
    return [(m.group(1), m.group(2)) for m in re.finditer(r'^time="[^"]+" level=(\w+) msg=(.*)$', text, re.M)]
