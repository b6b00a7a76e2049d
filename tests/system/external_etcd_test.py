"""Somebody else's etcd as a datastore: three members with TLS and users, of each version that is here, and what befalls them."""
import base64
import contextlib
import http.client
import json
import os
import random
import re
import signal
import sqlite3
import ssl
import threading
import urllib.request

from harness import BIN, Skip, check, contains, dump, equal, etcd_versions, through_elections, wait_for

PASSWORD = "pa,ss@w%1"
PASSWORD_IN_URL = "pa%2Css%40w%251"


def installed():
    return etcd_versions()[0]


def newest():
    """Of those that were unpacked beside the installed one."""
    if len(etcd_versions()) == 1:
        raise Skip("there is no second etcd in out/etcd")
    return etcd_versions()[-1]


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Members:
    """Three etcds of one cluster; `auth`: root with a password, and `plain`, who may read and write all keys."""

    def __init__(self, bench, etcd_dir=None, auth=True, client_certificates=False, directories=None):
        self.bench, self.etcd_dir = bench, etcd_dir or etcd_versions()[0]
        self.auth, self.client_certificates, self.login = auth, client_certificates, []
        self.dir = bench.dir / f"etcds-{random.randrange(10**6)}"
        self.dir.mkdir()
        self.make_certificates()
        self.data = directories or [self.dir / f"data{i}" for i in range(3)]
        self.ports = [bench.port() for _ in range(3)]
        self.peers = ",".join(f"n{i}=https://127.0.0.1:{bench.port()}" for i in range(3))
        self.processes = [None] * 3

    def make_certificates(self):
        def openssl(*argv):
            self.bench.ok("openssl", *argv, cwd=self.dir)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=etcd-ca")
        (self.dir / "san").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("req", *key, "-keyout", "etcd.key", "-out", "etcd.csr", "-subj", "/CN=etcd")
        openssl("x509", "-req", "-in", "etcd.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "san", "-out", "etcd.crt")

    def peer_url(self, i):
        return self.peers.split(",")[i].split("=")[1]

    def start(self, *numbers):
        certificate = [f"--{role}{part}-file={self.dir}/etcd.{end}" for role in ("", "peer-")
                       for part, end in (("cert", "crt"), ("key", "key"))]
        if self.client_certificates:
            certificate += ["--client-cert-auth", f"--trusted-ca-file={self.dir}/ca.crt"]
        for i in numbers or range(3):
            url = f"https://127.0.0.1:{self.ports[i]}"
            self.processes[i] = self.bench.spawn(
                [self.etcd_dir / "etcd", "--name", f"n{i}", "--data-dir", self.data[i], "--listen-client-urls", url,
                 "--advertise-client-urls", url, "--listen-peer-urls", self.peer_url(i),
                 "--initial-advertise-peer-urls", self.peer_url(i), "--initial-cluster", self.peers,
                 f"--peer-trusted-ca-file={self.dir}/ca.crt", "--heartbeat-interval=50", "--election-timeout=1000",
                 *certificate], f"{self.dir.name}-n{i}.log")
        wait_for(lambda: self.try_etcdctl("endpoint", "health").code == 0, "the cluster")
        status = json.loads(self.etcdctl("endpoint", "status", "-w", "json"))
        self.ids = {f"{s['Status']['header']['member_id']:x}": self.number(s["Endpoint"]) for s in status}
        return self

    def number(self, endpoint):
        return self.ports.index(int(endpoint.rsplit(":", 1)[1]))

    def with_users(self):
        for words in ("role add root", f"user add root:{PASSWORD}", "user grant-role root root", "user add plain:x",
                      "role add all", "role grant-permission all readwrite / 0", "user grant-role plain all", "auth enable"):
            self.etcdctl(*words.split())
        self.login = ["--user", f"root:{PASSWORD}"]
        return self

    def stop(self, i):
        self.bench._kill(self.processes[i])

    def signal(self, i, number):
        os.kill(self.processes[i].pid, number)

    def url(self, *numbers, login=f"root:{PASSWORD_IN_URL}@"):
        return ",".join(f"https://{login if self.login else ''}127.0.0.1:{self.ports[i]}" for i in numbers or range(3))

    def address(self, i):
        return f"127.0.0.1:{self.ports[i]}"

    def try_etcdctl(self, *argv, numbers=(), stdin=None):
        endpoints = ",".join(f"https://127.0.0.1:{self.ports[i]}" for i in numbers or range(3))
        own = ["--cert", self.dir / "etcd.crt", "--key", self.dir / "etcd.key"] if self.client_certificates else []
        return self.bench.run(self.etcd_dir / "etcdctl", "--endpoints", endpoints, "--cacert", self.dir / "ca.crt", *own,
                              *self.login, *argv, stdin=stdin)

    def etcdctl(self, *argv, **options):
        result = through_elections(lambda: self.try_etcdctl(*argv, **options))
        check(result.code == 0, "etcdctl", argv, result)
        return result.out

    def leader(self):
        status = json.loads(self.etcdctl("endpoint", "status", "-w", "json"))
        return next(self.number(s["Endpoint"]) for s in status
                    if s["Status"]["header"]["member_id"] == s["Status"]["leader"])

    def fill(self, keys, value_size=100, prefix="/registry/things/"):
        for start in range(0, keys, 100):
            puts = "".join(f"put {prefix}{i:06} {'v' * value_size}{i}\n" for i in range(start, min(start + 100, keys)))
            self.etcdctl("txn", stdin=f"\n{puts}\n\n")

    def values(self):
        return {key: row[0] for key, row in dump(self.etcdctl).items()}

    def calls(self, i, method):
        """How often this member was asked so."""
        page = urllib.request.urlopen(f"https://{self.address(i)}/metrics", timeout=30,
                                      context=ssl.create_default_context(cafile=self.dir / "ca.crt")).read().decode()
        lines = [line for line in page.splitlines()
                 if line.startswith("grpc_server_handled_total{") and f'grpc_method="{method}"' in line]
        check(lines, "no such metric:", method)
        return sum(int(float(line.split()[-1])) for line in lines)

    def gateway(self, number):
        """A function that makes calls by the JSON gateway of a member: a hundred in the time of one etcdctl."""
        tls = ssl.create_default_context(cafile=self.dir / "ca.crt")
        connection = http.client.HTTPSConnection("127.0.0.1", self.ports[number], context=tls, timeout=30)

        def call(path, body, **headers):
            connection.request("POST", path, json.dumps(body), headers)
            return json.loads(connection.getresponse().read())
        return call

    def revision(self):
        return json.loads(self.etcdctl("get", "x", "-w", "json"))["header"]["revision"]


class Writer:
    """Puts keys through one member until it is stopped; knows the revision of each that was acknowledged, and how many were not,
    as happens in elections: those may be there or not."""

    def __init__(self, members, number):
        self.members, self.number, self.acknowledged, self.failed, self.end = members, number, [], 0, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        members.bench.stack.callback(self.stop)
        wait_for(lambda: len(self.acknowledged) > 20, "the writer to write")

    def run(self):
        call = self.members.gateway(self.number)
        token = call("/v3/auth/authenticate", {"name": "root", "password": PASSWORD})["token"] if self.members.login else ""
        while not self.end.is_set():
            reply = call("/v3/kv/put", {"key": b64(f"/w/{len(self.acknowledged) + self.failed:06}"), "value": b64("w" * 200)},
                         Authorization=token)
            if "header" in reply:
                self.acknowledged.append(int(reply["header"]["revision"]))
            else:
                self.failed += 1

    def stop(self):
        self.end.set()
        self.thread.join()
        return self.acknowledged


class Protected:
    """A holdfast server beside such a cluster."""

    def __init__(self, members, url=None, flags=()):
        self.bench, self.members = members.bench, members
        self.own = self.bench.dir / f"protected-{random.randrange(10**6)}"
        self.snapshots = self.own / "snapshots"
        self.snapshots.mkdir(parents=True)
        self.port = self.bench.port()
        self.where = self.datastore(url, flags)
        self.bench.spawn([BIN, "server", *self.where, f"--etcd-snapshot-dir={self.snapshots}", "--bind-address=127.0.0.1",
                          "--node-ip=127.0.0.1", "--node-name=node-1"], f"{self.own.name}.log", env=self.env)
        wait_for(lambda: "is up and running" in self.log(), "the server")

    def datastore(self, url=None, flags=(), ca=True):
        return [f"--datastore-endpoint={url or self.members.url()}", *flags,
                *([f"--datastore-cafile={self.members.dir}/ca.crt"] if ca else [])]

    @property
    def env(self):
        return {"HOLDFAST_CONFIG_FILE": str(self.own / "no-config.yaml"), "HOLDFAST_DATA_DIR": str(self.own / "data"),
                "HOLDFAST_SUPERVISOR_PORT": str(self.port)}

    def holdfast(self, *argv):
        result = self.bench.holdfast(*argv, env=self.env)
        for text in (result.out, result.err, self.log()):
            check(PASSWORD not in text and PASSWORD_IN_URL not in text and "guess" not in text, "a password is shown:", text)
        return result

    def status(self, **where):
        """Of the datastore, without the server."""
        return self.holdfast("datastore", "status", *(self.datastore(**where) if where else self.where))

    def try_save(self):
        return self.holdfast("etcd-snapshot", "save")

    def save(self):
        result = self.try_save()
        equal(result.code, 0, result)
        return self.snapshots / result.err.split("Snapshot ")[-1].split(" saved.")[0]

    def log(self):
        return (self.bench.dir / f"{self.own.name}.log").read_text()

    def origin(self, snapshot):
        """The number of the member that gave it."""
        return self.members.ids[json.loads((self.own / ".metadata" / snapshot.name).read_text())["holdfast-member-id"]]

    def restore_command(self, snapshot, *more):
        return ["restore", snapshot, *self.where, f"--etcd-snapshot-dir={self.snapshots}", "--yes", *more]

    def restore_live(self, snapshot, *more):
        return self.holdfast(*self.restore_command(snapshot, "--into-live", *more))

    def content_hash(self):
        result = self.status()
        equal(result.code, 0, result)
        return re.search(r"\b[0-9a-f]{64}\b", result.out).group(0)


def one_hash(members):
    """False, too, while etcdctl's login is known to one member only."""
    result = members.try_etcdctl("endpoint", "hashkv")
    return result.code == 0 and len({line.split(",")[-1] for line in result.out.splitlines()}) == 1


def snapshot_under_load_becomes_a_new_cluster(bench, etcd_dir):
    members = Members(bench, etcd_dir).start().with_users()
    members.fill(1000)
    protected = Protected(members)
    writer = Writer(members, members.leader())
    before = writer.acknowledged[-1]
    snapshot = protected.save()
    reached = len(writer.acknowledged)
    wait_for(lambda: len(writer.acknowledged) > reached + 20, "the writer to go on")
    acknowledged = writer.stop()
    check(protected.origin(snapshot) != members.leader(), "the leader was asked")
    # Any tool knows it.
    status = json.loads(bench.ok(members.etcd_dir / "etcdctl", "snapshot", "status", snapshot, "-w", "json").out)
    last = status["revision"]
    check(before <= last < acknowledged[-1], "revision", before, last, acknowledged[-1])
    expected = {key: row for key, row in dump(members.etcdctl).items() if row[1] <= last}
    there = sum(revision <= last for revision in acknowledged)
    check(there <= len(expected) - 1000 <= there + writer.failed, there, "acknowledged, found", len(expected) - 1000)

    directories = [bench.dir / f"new-{etcd_dir.name}-{random.randrange(10**6)}" for _ in range(3)]
    again = Members(bench, etcd_dir, directories=directories)
    for i, directory in enumerate(directories):
        result = bench.holdfast("restore", snapshot, f"--data-dir={directory}", f"--name=n{i}", f"--initial-cluster={again.peers}",
                                "--initial-cluster-token=new", f"--initial-advertise-peer-urls={again.peer_url(i)}")
        equal(result.code, 0, result)
    again.login = members.login  # users are in the snapshot
    again.start()
    equal(dump(again.etcdctl), expected)
    wait_for(lambda: one_hash(again), "one hash of all members")


def test_a_snapshot_under_load_becomes_a_new_cluster_of_three_installed(bench):
    snapshot_under_load_becomes_a_new_cluster(bench, installed())


def test_a_snapshot_under_load_becomes_a_new_cluster_of_three_newest(bench):
    snapshot_under_load_becomes_a_new_cluster(bench, newest())


def test_one_member_down_or_hanging_or_all_but_one(bench):
    members = Members(bench).start()
    members.fill(100)
    protected = Protected(members)
    leader = members.leader()
    down, hanging = [i for i in range(3) if i != leader]
    members.stop(down)
    equal(protected.origin(protected.save()), hanging)
    contains(protected.status().err, f"{members.address(down)}: does not answer")
    members.start(down)
    members.signal(hanging, signal.SIGSTOP)
    snapshot = protected.save()
    contains(protected.status().err, f"{members.address(hanging)}: does not answer")
    members.signal(hanging, signal.SIGCONT)
    equal(protected.origin(snapshot), down)
    # Two of three hang: no leader, but what the third has can still be saved.
    for i in (hanging, leader):
        members.signal(i, signal.SIGSTOP)
    wait_for(lambda: "no leader" in protected.holdfast("etcd-snapshot", "save").err + protected.log(), "the third to lose its leader")
    snapshot = protected.save()
    for i in (hanging, leader):
        members.signal(i, signal.SIGCONT)
    equal(protected.origin(snapshot), down)


def flip_bits(members, victim):
    """A disk that flips bits in a value: bbolt has no checksum there. Returns the database as it was."""
    members.stop(victim)
    database = members.data[victim] / "member/snap/db"
    good = database.read_bytes()
    bad = good.replace(b"v" * 100 + b"123", b"V" * 100 + b"123")
    check(bad != good, "the value was not found")
    database.write_bytes(bad)
    start_one(members, victim)
    return good


def start_one(members, number):
    members.start(number)
    wait_for(lambda: members.try_etcdctl("endpoint", "status", numbers=[number]).code == 0, "the member")


def corrupt_member(bench, etcd_dir):
    members = Members(bench, etcd_dir).start()
    members.fill(500)
    protected = Protected(members)
    victim = next(i for i in range(3) if i != members.leader())
    flip_bits(members, victim)
    for _ in range(2):
        snapshot = protected.save()
        check(protected.origin(snapshot) != victim, "the corrupt member was asked")
        check(b"V" * 100 not in snapshot.read_bytes(), "corrupt data")
    contains(protected.status().err, f"{members.address(victim)}: its keys differ from those of the majority")
    # One against one.
    other = next(i for i in range(3) if i != victim)
    result = protected.status(url=members.url(victim, other))
    check(result.code != 0, result)
    contains(result.err, "no majority says who is right")
    contains(result.err, "name only that member")
    equal(protected.status(url=members.url(other)).code, 0)


def test_a_corrupt_member_is_named_and_not_asked_installed(bench):
    corrupt_member(bench, installed())


def test_a_corrupt_member_is_named_and_not_asked_newest(bench):
    corrupt_member(bench, newest())


def corrupt_member_and_keys(bench, etcd_dir):
    """What is read of it key by key, and what would be written."""
    members = Members(bench, etcd_dir).start()
    members.fill(500)
    victim = next(i for i in range(3) if i != members.leader())
    # Named first, and its address is what the refusal must say.
    protected = Protected(members, url=members.url(victim, *(i for i in range(3) if i != victim)))
    before = protected.content_hash()
    snapshot = protected.save()
    good = flip_bits(members, victim)
    equal(protected.content_hash(), before)
    ca = f"{members.dir}/ca.crt"
    target = bench.dir / f"target-{etcd_dir.name}.db"
    result = protected.holdfast("datastore", "migrate", protected.where[0].replace("--datastore-endpoint", "--from"),
                                f"--from-cafile={ca}", f"--to=sqlite://{target}")
    equal(result.code, 0, result)
    with contextlib.closing(sqlite3.connect(target)) as database:
        values = [value for value, in database.execute("SELECT value FROM kine WHERE name LIKE '/registry/%'")]
    equal(len(values), 500)
    check(not any(b"V" in value for value in values), "corrupt data")

    members.etcdctl("del", "/registry/things/000007", numbers=[i for i in range(3) if i != victim])
    revision, files = members.revision(), sorted(protected.snapshots.iterdir())
    for more in ([], ["--dry-run"]):
        result = protected.restore_live(snapshot, "--clean", *more)
        check(result.code != 0, result)
        for words in (f"{members.address(victim)}: its keys differ from those of the majority", "etcdctl member remove"):
            contains(result.err, words)
    equal(members.revision(), revision)
    equal(sorted(protected.snapshots.iterdir()), files)
    # With its good database it is one of them again.
    members.stop(victim)
    (members.data[victim] / "member/snap/db").write_bytes(good)
    start_one(members, victim)
    result = protected.restore_live(snapshot, "--clean")
    equal(result.code, 0, result)
    equal(protected.content_hash(), before)
    wait_for(lambda: one_hash(members), "one hash of all members")


def test_keys_are_not_read_from_a_corrupt_member_nor_written_beside_it_installed(bench):
    corrupt_member_and_keys(bench, installed())


def test_keys_are_not_read_from_a_corrupt_member_nor_written_beside_it_newest(bench):
    corrupt_member_and_keys(bench, newest())


def refusals(bench, etcd_dir):
    members = Members(bench, etcd_dir).start().with_users()
    protected = Protected(members)
    for where, words in (({"url": members.url(login="root:guess@")}, ["invalid user ID or password", "%XX"]),
                         ({"url": members.url(login="")}, ["role root"]),
                         ({"url": members.url(login="plain:x@")}, ["permission denied", "grant-role"]),
                         ({"url": members.url(0, login="plain:x@")}, ["permission denied", "grant-role"]),
                         ({"ca": False}, ["certificate verify failed", "--datastore-cafile"]),
                         ({"url": members.url().replace("https:", "http:")}, ["https://"]),
                         ({"url": f"https://root:guess@127.0.0.1:{bench.port()}"}, ["refused"])):
        result = protected.status(**where)
        check(result.code not in (0, 2), where, result)
        for word in words:
            contains(result.err, word)


def test_who_is_not_let_in_is_told_why_installed(bench):
    refusals(bench, installed())


def test_who_is_not_let_in_is_told_why_newest(bench):
    refusals(bench, newest())


def test_client_certificates(bench):
    members = Members(bench, client_certificates=True).start()
    own = [f"--datastore-certfile={members.dir}/etcd.crt", f"--datastore-keyfile={members.dir}/etcd.key"]
    protected = Protected(members, flags=own)
    protected.save()
    result = protected.status(flags=())
    check(result.code != 0, result)
    contains(result.err, "--datastore-certfile")
    result = protected.status(flags=own[:1])
    check(result.code != 0, result)
    contains(result.err, "must come together")


def test_looks_do_not_compare_each_time_and_survive_new_certificates(bench):
    members = Members(bench).start()
    protected = Protected(members)
    looks, hashes = members.calls(0, "Status"), members.calls(0, "HashKV")
    check(hashes > 0, "the first look did not compare")
    wait_for(lambda: members.calls(0, "Status") >= looks + 2, "two more looks")
    equal(members.calls(0, "HashKV"), hashes)
    for i in range(3):
        members.stop(i)
    wait_for(lambda: "The datastore is not well" in protected.log(), "the look at what is not there")
    members.make_certificates()
    members.start()
    wait_for(lambda: "The datastore is well again" in protected.log(), "a look with the new CA")
    equal(members.calls(0, "HashKV"), 0)


def into_live(bench, etcd_dir):
    members = Members(bench, etcd_dir).start().with_users()
    protected = Protected(members)
    members.fill(700)
    lease = members.etcdctl("lease", "grant", "3000").split()[1]
    members.etcdctl("put", f"--lease={lease}", "/leased", "x")
    members.etcdctl("put", "compact_rev_key", "5")
    expected, content = members.values(), protected.content_hash()
    snapshot = protected.save()
    members.etcdctl("del", "--prefix", "/registry/things/0001")  # a hundred
    members.etcdctl("put", "/registry/things/000200", "changed")
    members.etcdctl("put", "/new", "n")
    changed = members.values()

    def refused(result, *words):
        check(result.code != 0, result)
        for word in words:
            contains(result.err, word)
        equal(members.values(), changed)
    refused(protected.holdfast(*protected.restore_command(snapshot, "--clean")), "--into-live")
    refused(protected.restore_live(snapshot), "1 have other values", "1 are not in it", "--clean")
    plan = protected.restore_live(snapshot, "--clean", "--dry-run")
    equal(plan.code, 0, plan)
    contains(plan.out + plan.err, "100 are created, 1 changed, 1 deleted")
    contains(plan.out + plan.err, "1 keys of the snapshot had a lease")
    equal(members.values(), changed)
    revision = members.revision()
    result = protected.restore_live(snapshot, "--clean")
    equal(result.code, 0, result)
    equal(members.values(), expected)
    equal(protected.content_hash(), content)
    check(members.revision() <= revision + 2, "more than what differs was written")
    equal(dump(members.etcdctl)[b64("/leased")][4], int(lease, 16), "what was as it should be is left alone")
    check(any(p.name.startswith("pre-restore") for p in protected.snapshots.iterdir()), "no snapshot before the restore")
    # Somebody writes meanwhile: said, not hidden.
    members.etcdctl("del", "--prefix", "/registry/")
    writer = Writer(members, 0)
    result = protected.restore_live(snapshot, "--clean")
    writer.stop()
    check(result.code != 0, result)
    contains(result.err, "somebody else writes")
    equal(protected.restore_live(snapshot, "--clean").code, 0)
    equal(protected.content_hash(), content)


def test_into_live_installed(bench):
    into_live(bench, installed())


def test_into_live_newest(bench):
    into_live(bench, newest())


def test_into_live_killed_in_the_middle_is_continued(bench):
    members = Members(bench).start()
    protected = Protected(members)
    members.fill(8000, 1000)
    expected = members.values()
    snapshot = protected.save()
    members.etcdctl("del", "", "--from-key")
    start, call = members.revision(), members.gateway(0)
    process = bench.spawn([BIN, *protected.restore_command(snapshot, "--into-live")], "restore.log", env=protected.env)
    # It writes for some tenths of a second: look without a pause.
    while int(call("/v3/kv/range", {"key": b64("x")})["header"]["revision"]) <= start:
        check(process.poll() is None, "the restore ended with", process.returncode)
    process.kill()
    process.wait()
    some = members.values()
    check(0 < len(some) < 8000, "too quick or too slow:", len(some))
    result = protected.restore_live(snapshot)
    equal(result.code, 0, result)
    equal(members.values(), expected)
