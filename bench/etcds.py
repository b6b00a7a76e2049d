"""What the comparisons run on: the etcds of the machine, a Kubernetes-like database, and a holdfast server that has it."""
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import k8s_load
from measuring import Run, Watched, measure

TOP = pathlib.Path(__file__).resolve().parent.parent
CACHE = TOP / "out/bench"
WORK = CACHE / "work"
PATIENCE = 120
PAYLOAD_SHARE = 0.77  # of a database's bytes; the rest is what bbolt needs around them


# --- what is on the machine ---

def version_of(path):
    return tuple(int(n) for n in re.findall(r"\d+", path.parent.name)) if path.parent.parent.name == "etcd" else ()


def installed_version():
    text = subprocess.run(["etcd", "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"etcd Version: (\S+)", text)[1]


class Tools:
    def __init__(self):
        fetched = sorted((TOP / "out/etcd").glob("*/etcd"), key=version_of)
        self.etcd = fetched[-1] if fetched else pathlib.Path(shutil.which("etcd"))
        self.etcd_version = self.etcd.parent.name if fetched else installed_version()
        self.etcdctl = self.etcd.parent / "etcdctl"
        # (name, command) of every other way to do it
        self.restorers = [("etcdctl " + installed_version(), [shutil.which("etcdctl"), "snapshot"])]
        if (self.etcd.parent / "etcdutl").exists():
            self.restorers.append(("etcdutl " + self.etcd_version, [self.etcd.parent / "etcdutl", "snapshot"]))


# --- databases ---

def free_port():
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            return port


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit("waited %d s for %s" % (PATIENCE, what))
        time.sleep(0.05)


@contextlib.contextmanager
def background(argv, log, **options):
    with open(WORK / log, "wb") as out:
        process = subprocess.Popen([str(a) for a in argv], stdout=out, stderr=out, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def make_database(tools, megabytes, target):
    """Fills a plain etcd and keeps its snapshot."""
    print("making %s" % target.relative_to(TOP), file=sys.stderr)
    client, peer = "http://127.0.0.1:%d" % free_port(), "http://127.0.0.1:%d" % free_port()
    help_text = subprocess.run([tools.etcd, "--help"], capture_output=True, text=True, check=False)
    # Many commits, as in a cluster that runs for months; without waiting for the disk where etcd can.
    quick = ["--unsafe-no-fsync"] if "unsafe-no-fsync" in help_text.stdout + help_text.stderr else []
    data = WORK / "load"
    with background([tools.etcd, "--data-dir", data, "--listen-client-urls", client, "--advertise-client-urls", client,
                     "--listen-peer-urls", peer, "--backend-batch-interval", "1ms", "--quota-backend-bytes", 8 << 30,
                     "--snapshot-count", 10000, *quick], "etcd-load.log"):
        etcdctl = [tools.etcdctl, "--endpoints", client]
        wait_for(lambda: subprocess.run([*etcdctl, "endpoint", "health"], capture_output=True, check=False,
                                        env={**os.environ, "ETCDCTL_API": "3"}).returncode == 0, "etcd")
        k8s_load.fill(client, megabytes * PAYLOAD_SHARE, say=lambda text: print(text, file=sys.stderr))
        measure([*etcdctl, "snapshot", "save", WORK / "made.db"])
    shutil.rmtree(data)
    (WORK / "made.db").rename(target)


def database(tools, megabytes):
    target = CACHE / ("etcd-%s-%d.db" % (tools.etcd_version, megabytes))
    if not target.exists():
        make_database(tools, megabytes, target)
    target.chmod(0o600)
    with open(target, "rb") as file:  # into the page cache
        while file.read(1 << 20):
            pass
    return target


# --- the server that saves ---

class Server:
    def __init__(self, tools, program, snapshot):
        self.tools, self.program = tools, program
        self.dir = WORK / "server"
        self.client_port, self.supervisor_port = free_port(), free_port()
        self.env = {**os.environ, "HOLDFAST_DATA_DIR": str(self.dir), "HOLDFAST_CONFIG_FILE": str(WORK / "none.yaml"),
                    "HOLDFAST_SUPERVISOR_PORT": str(self.supervisor_port)}
        self.argv = [program, "server", "--token=bench", "--bind-address=127.0.0.1", "--node-ip=127.0.0.1", "--node-name=bench",
                     "--etcd-disable-snapshots", "--etcd-binary=%s" % tools.etcd, "--supervisor-port=%d" % self.supervisor_port,
                     "--etcd-client-port=%d" % self.client_port, "--etcd-peer-port=%d" % free_port(),
                     "--etcd-metrics-port=%d" % free_port(), "--etcd-client-http-port=%d" % free_port()]
        reset = subprocess.run([*map(str, self.argv), "--cluster-reset", "--cluster-reset-restore-path=%s" % snapshot], env=self.env,
                               capture_output=True, text=True, check=False)
        if reset.returncode != 0:
            sys.exit("cluster reset failed\n" + reset.stderr)

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.process = self.stack.enter_context(background(self.argv, "server.log", env=self.env))
        wait_for(self.ready, "the server")
        self.etcd_pid = int(subprocess.run(["pgrep", "-P", str(self.process.pid), "-x", "etcd"], capture_output=True, text=True,
                                           check=True).stdout.split()[0])
        return self

    def __exit__(self, *_):
        self.stack.close()
        shutil.rmtree(self.dir)

    def ready(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with contextlib.suppress(OSError):
            url = "https://127.0.0.1:%d/readyz" % self.supervisor_port
            return urllib.request.urlopen(url, context=context, timeout=10).status == 200

    def save(self, *flags):
        """Wall time of the command; CPU of the server and the command; peak memory of the server."""
        with Watched(self.process.pid) as server:
            run = measure([self.program, "etcd-snapshot", "save", *flags], env=self.env)
        return Run(run.wall, run.cpu + server.spent, server.peak_mib)

    def etcdctl_save(self, target):
        tls = self.dir / "server/tls/etcd"
        return measure([self.tools.etcdctl, "--endpoints", "https://127.0.0.1:%d" % self.client_port, "--cacert", tls / "server-ca.crt",
                        "--cert", tls / "client.crt", "--key", tls / "client.key", "snapshot", "save", target])

    def clean(self):
        for directory in (self.dir / "server/db/snapshots", self.dir / "server/db/.metadata"):
            for file in directory.glob("*"):
                file.unlink()
        for file in WORK.glob("peer*"):
            file.unlink()
