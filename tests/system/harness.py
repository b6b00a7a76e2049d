"""What the system tests are made of: a bench with a temporary directory, servers on ports of their own, and commands.

A test is a function test_x(bench). It starts servers with bench.server(...), runs the program with server.holdfast(...),
talks to etcd with server.etcdctl(...), and waits for conditions with wait_for(...), never for time. Everything is stopped
and removed at the end, whatever happened.
"""
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = os.environ.get("HOLDFAST_BIN", str(TOP / "out/release/holdfast"))
# Generous: the machine may be loaded. Nothing waits this long unless something is wrong.
PATIENCE = 90


class Skip(Exception):
    """The test cannot run here; says why."""


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def equal(actual, expected, *what):
    if actual != expected:
        raise AssertionError(f"{' '.join(map(str, what))}\n  actual:   {actual!r}\n  expected: {expected!r}")


def contains(text, part):
    if part not in text:
        raise AssertionError(f"expected to find {part!r} in:\n{text}")


def wait_for(condition, what, patience=PATIENCE):
    """Calls condition() until it gives something true, and returns that."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience} s for {what}")
        time.sleep(0.05)


# What is said of a request that came while etcd's members elected a leader; it may have been done all the same.
NO_LEADER = re.compile("leader changed|no leader|request timed out|deadline exceeded", re.IGNORECASE)


def through_elections(ask):
    """The result of ask(), which is repeated while members elect a leader: on a loaded machine they may at any time."""
    def answer():
        result = ask()
        return None if result.code != 0 and NO_LEADER.search(result.err) else result
    return wait_for(answer, "etcd to have a leader")


def tree(path):
    """What a directory holds: relative path -> mode and content hash. To see that nothing was touched."""
    out = {}
    for directory, names, files in os.walk(path):
        for name in names + files:
            p = pathlib.Path(directory) / name
            info = p.lstat()
            digest = ""
            if p.is_file() and not p.is_symlink():
                digest = hashlib.sha256(p.read_bytes()).hexdigest()
            out[str(p.relative_to(path))] = (oct(info.st_mode), digest)
    return out


def etcd_versions():
    """Directories with an etcd, etcdctl and perhaps etcdutl: the installed one first, then those of out/etcd/*."""
    found = [pathlib.Path(shutil.which("etcd")).parent]
    found += sorted(p.parent for p in (TOP / "out/etcd").glob("*/etcd"))
    return found


def far_from_noon():
    """A time zone in which it is six o'clock: the default schedule's snapshot, at noon and at midnight, comes into no test."""
    hours = 6 - time.gmtime().tm_hour
    return f"Fixed/UTC{hours if hours >= -12 else hours + 24:+03}:00:00"


# What no test sends, and none may overlook.
CRASHES = [-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE]


def is_ours(argv):
    """Whether a command is our program, also by another name or below another program."""
    return any(os.path.realpath(str(argument)) == os.path.realpath(BIN) for argument in argv)


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


class Bench:
    """One test's world."""

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-system."))
        self.stack = contextlib.ExitStack()
        self.ours = []  # our programs in the background, and their logs
        return self

    def __exit__(self, kind, value, trace):
        self.stack.close()
        # The name of the log, last: of a long output the end is what is read.
        crashed = [log for process, log in self.ours if process.returncode in CRASHES]
        if (kind is not None and kind is not Skip) or crashed:
            for log in sorted(self.dir.glob("*.log"), key=lambda log: (log.name in crashed, log.name)):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-6000:]}")
        if "HOLDFAST_KEEP" in os.environ:
            print("kept", self.dir)
        else:
            subprocess.run(["chmod", "-R", "u+rwX", self.dir], check=False, capture_output=True)
            shutil.rmtree(self.dir, ignore_errors=True)
        check(not crashed, "crashed:", *crashed)

    def port(self):
        """A TCP port that no other test of this machine uses: each is held by a locked file."""
        directory = pathlib.Path(tempfile.gettempdir()) / "holdfast-test-ports"
        directory.mkdir(exist_ok=True)
        while True:
            port = random.randrange(20000, 32000)
            file = open(directory / str(port), "w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind(("127.0.0.1", port))
            except OSError:
                file.close()
                continue
            self.stack.callback(file.close)
            return port

    def run(self, *argv, env=None, stdin=None, cwd=None, timeout=PATIENCE * 2):
        """Runs a command to its end."""
        full = dict(os.environ, ETCDCTL_API="3", **(env or {}))
        process = subprocess.run([str(a) for a in argv], env=full, cwd=cwd or self.dir, input=stdin, timeout=timeout,
                                 capture_output=True, text=True, errors="replace")
        check(not is_ours(argv) or process.returncode not in CRASHES, "crashed:", argv, Result(process))
        return Result(process)

    def holdfast(self, *argv, **options):
        return self.run(BIN, *argv, **options)

    def ok(self, *argv, **options):
        result = self.run(*argv, **options)
        check(result.code == 0, "failed:", " ".join(map(str, argv)), result)
        return result

    def spawn(self, argv, log, env=None, **options):
        """A process in the background, killed at the end; its output goes to a file of the bench."""
        with open(self.dir / log, "ab") as out:
            process = subprocess.Popen([str(a) for a in argv], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                       env=dict(os.environ, **(env or {})), cwd=self.dir, **options)
        self.stack.callback(self._kill, process)
        if is_ours(argv):
            self.ours.append((process, log))
        return process

    @staticmethod
    def _kill(process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()

    def server(self, name="data", **options):
        return Server(self, name, **options)

    def sample_snapshot(self, keys=50, name="sample.db", value_size=100, etcd_dir=None):
        """A snapshot by etcdctl of a bare etcd (no TLS, no bootstrap data); returns its path."""
        etcd = BareEtcd(self, etcd_dir=etcd_dir)
        etcd.start()
        etcd.fill(keys, value_size)
        path = self.dir / name
        etcd.etcdctl("snapshot", "save", path)
        etcd.stop()
        return path


class BareEtcd:
    """An etcd that is nobody's: for snapshots by etcdctl, and to boot restored directories."""

    def __init__(self, bench, data_dir=None, etcd_dir=None, name="default"):
        self.bench, self.name = bench, name
        self.etcd_dir = etcd_dir or etcd_versions()[0]
        self.data_dir = data_dir or bench.dir / f"bare-{name}-{random.randrange(10**6)}"
        self.client_port, self.peer_port = bench.port(), bench.port()
        self.process = None

    def start(self, *more):
        self.process = self.bench.spawn(
            [self.etcd_dir / "etcd", "--name", self.name, "--data-dir", self.data_dir,
             "--listen-client-urls", f"http://127.0.0.1:{self.client_port}",
             "--advertise-client-urls", f"http://127.0.0.1:{self.client_port}",
             "--listen-peer-urls", f"http://127.0.0.1:{self.peer_port}",
             "--heartbeat-interval", "50", "--election-timeout", "500", *more], f"etcd-{self.name}.log")
        return self

    def wait_ready(self):
        def ready():
            check(self.process.poll() is None, "etcd ended with", self.process.returncode)
            return self.try_etcdctl("endpoint", "status").code == 0
        wait_for(ready, "etcd to be ready")
        return self

    def stop(self):
        self.bench._kill(self.process)

    def try_etcdctl(self, *argv, stdin=None):
        return self.bench.run(self.etcd_dir / "etcdctl", "--endpoints", f"http://127.0.0.1:{self.client_port}", *argv, stdin=stdin)

    def etcdctl(self, *argv, stdin=None):
        result = self.try_etcdctl(*argv, stdin=stdin)
        check(result.code == 0, "etcdctl", argv, result)
        return result.out

    def fill(self, keys, value_size=100):
        self.wait_ready()
        fill(self.etcdctl, keys, value_size)

    def revision(self):
        return json.loads(self.etcdctl("endpoint", "status", "-w", "json"))[0]["Status"]["header"]["revision"]

    def hash_kv(self, revision):
        return json.loads(self.etcdctl("endpoint", "hashkv", "--rev", str(revision), "-w", "json"))[0]["HashKV"]["hash"]

    def dump(self):
        return dump(self.etcdctl)


def fill(etcdctl, keys, value_size=100, prefix="/registry/things/"):
    """Writes keys in transactions of 100, then changes and deletes some of them."""
    for start in range(0, keys, 100):
        puts = "".join(f"put {prefix}{i:06} {'v' * value_size}{i}\n" for i in range(start, min(start + 100, keys)))
        etcdctl("txn", stdin=f"\n{puts}\n\n")
    etcdctl("put", f"{prefix}{0:06}", "changed")
    if keys > 1:
        etcdctl("del", f"{prefix}{1:06}")


def dump(etcdctl):
    """Every key: (value, create revision, mod revision, version, lease). Without the servers' own records, which a start
    on other addresses brings up to date."""
    answer = json.loads(etcdctl("get", "", "--from-key", "-w", "json"))
    return {kv["key"]: (kv.get("value"), kv["create_revision"], kv["mod_revision"], kv["version"], kv.get("lease"))
            for kv in answer.get("kvs", []) if not re.match(rb"(holdfast|rke2|k3s)/nodes/", base64.b64decode(kv["key"]))}


class Server:
    """A holdfast server on ports of its own."""

    # One member elects itself, so nothing can be too fast for a loaded machine.
    FAST = ["--etcd-arg=heartbeat-interval=10", "--etcd-arg=election-timeout=100"]

    def __init__(self, bench, name, etcd_dir=None, program=BIN, distribution="holdfast"):
        self.bench, self.name, self.program = bench, name, program
        self.prefix = distribution.upper() + "_"
        self.data_dir = bench.dir / name
        self.etcd_dir = etcd_dir or etcd_versions()[0]
        self.supervisor_port, self.client_port = bench.port(), bench.port()
        self.ports = [f"--supervisor-port={self.supervisor_port}", f"--etcd-client-port={self.client_port}",
                      f"--etcd-peer-port={bench.port()}", f"--etcd-metrics-port={bench.port()}",
                      f"--etcd-client-http-port={bench.port()}"]
        self.log = bench.dir / f"{name}.log"
        self.process = None

    # --- the server itself ---

    @property
    def env(self):
        # An empty configuration directory: the machine's own must not matter.
        return {self.prefix + "DATA_DIR": str(self.data_dir), self.prefix + "CONFIG_FILE": str(self.bench.dir / "no-config.yaml"),
                self.prefix + "SUPERVISOR_PORT": str(self.supervisor_port), "TZ": far_from_noon()}

    def server_args(self, *flags):
        return [self.program, "server", *self.ports, "--bind-address=127.0.0.1", "--node-ip=127.0.0.1", "--node-name=node-1",
                f"--etcd-binary={self.etcd_dir / 'etcd'}", *self.FAST, *flags]

    def launch(self, *flags, env=None, **options):
        """Starts it and does not wait."""
        self.process = self.bench.spawn(self.server_args(*flags), self.log.name, env={**self.env, **(env or {})}, **options)
        return self

    def start(self, *flags, env=None, **options):
        return self.launch(*flags, env=env, **options).wait_ready()

    def wait_ready(self):
        def ready():
            check(self.process.poll() is None, "the server ended with", self.process.returncode)
            return self.get("/readyz")[0] == 200
        wait_for(ready, "the server to be ready")
        return self

    def stop(self, expected_code=0):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        equal(code, expected_code, "exit code of the server")
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()
        # etcd dies with its keeper's thread; its port is free a moment later
        wait_for(lambda: not self.etcd_pids(), "etcd to die with its server")

    def etcd_pids(self):
        found = self.bench.run("pgrep", "-f", "--", f"--config-file {self.data_dir}/server/db/etcd/config").out.split()
        return [int(pid) for pid in found]

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def reset(self, *flags, env=None, **options):
        """server --cluster-reset, to its end."""
        return self.bench.run(*self.server_args("--cluster-reset", *flags), env={**self.env, **(env or {})}, **options)

    def restore(self, snapshot, *flags, **options):
        return self.reset(f"--cluster-reset-restore-path={snapshot}", *flags, **options)

    # --- commands ---

    def holdfast(self, *argv, env=None, **options):
        return self.bench.run(self.program, *argv, env={**self.env, **(env or {})}, **options)

    def snapshot(self, *argv, **options):
        return self.holdfast("etcd-snapshot", *argv, **options)

    def save(self, *flags):
        """Takes a snapshot and returns its path."""
        result = self.snapshot("save", *flags)
        check(result.code == 0, "save failed", result)
        name = result.err.split("Snapshot ")[-1].split(" saved.")[0]
        return self.snapshots / name

    def names(self, *flags):
        result = self.snapshot("ls", "-o", "json", *flags)
        check(result.code == 0, "ls failed", result)
        return [item["spec"]["snapshotName"] for item in json.loads(result.out)["items"]]

    def try_etcdctl(self, *argv, stdin=None):
        tls = self.data_dir / "server/tls/etcd"
        return self.bench.run(self.etcd_dir / "etcdctl", "--endpoints", f"https://127.0.0.1:{self.client_port}", "--cacert",
                              tls / "server-ca.crt", "--cert", tls / "client.crt", "--key", tls / "client.key", *argv, stdin=stdin)

    def etcdctl(self, *argv, stdin=None):
        result = through_elections(lambda: self.try_etcdctl(*argv, stdin=stdin))
        check(result.code == 0, "etcdctl", argv, result)
        return result.out

    def fill(self, keys, value_size=100, **options):
        fill(self.etcdctl, keys, value_size, **options)

    def revision(self):
        return json.loads(self.etcdctl("endpoint", "status", "-w", "json"))[0]["Status"]["header"]["revision"]

    def hash_kv(self, revision):
        return json.loads(self.etcdctl("endpoint", "hashkv", "--rev", str(revision), "-w", "json"))[0]["HashKV"]["hash"]

    def cluster_id(self):
        """In hex, as etcd prints it."""
        return f"{json.loads(self.etcdctl('endpoint', 'status', '-w', 'json'))[0]['Status']['header']['cluster_id']:x}"

    def dump(self):
        return dump(self.etcdctl)

    # --- files ---

    def former_ids(self):
        path = self.db / "lineage.json"
        return json.loads(path.read_text())["former"] if path.exists() else []

    @property
    def server_dir(self):
        return self.data_dir / "server"

    @property
    def db(self):
        return self.data_dir / "server/db"

    @property
    def snapshots(self):
        return self.db / "snapshots"

    @property
    def token(self):
        return (self.data_dir / "server/token").read_text().strip()

    @property
    def password(self):
        return self.token.rsplit(":", 1)[1]

    # --- HTTPS ---

    def request(self, method, path, body=None, user="server", password=None, headers=None, timeout=PATIENCE):
        """(code, body). With `password` basic authentication."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        request = urllib.request.Request(f"https://127.0.0.1:{self.supervisor_port}{path}", method=method,
                                         data=body.encode() if isinstance(body, str) else body, headers=headers or {})
        if password is not None:
            import base64
            request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
        try:
            with urllib.request.urlopen(request, context=context, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def get(self, path, **options):
        return self.request("GET", path, **options)
