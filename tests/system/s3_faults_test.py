"""Trouble on the way to S3, by a proxy before a real Ceph: what passes is survived, what stays is told, and nothing half is left."""
import json
import signal
import time

import s3_servers
import sqlite_test
from api_test import raw_post
from fault_proxy import Answer, Corrupt, FaultProxy, Header, Lost, Reset, Shorten, Stall, Truncate
from harness import check, contains, equal, tree, wait_for
from probe import connect, metrics
from s3_test import in_s3, objects, rows


FOLDER = "f +ü="


class Way:
    """A Ceph with a proxy before it, a bucket, and the flags that lead through the proxy."""

    def __init__(self, bench, timeout="4s"):
        self.rgw = s3_servers.Rgw(bench)
        self.bucket = self.rgw.bucket()
        self.proxy = FaultProxy(bench.port(), int(self.rgw.host.rsplit(":", 1)[1]))
        bench.stack.callback(self.proxy.stop)
        self.flags = self.rgw.behind(f"127.0.0.1:{self.proxy.port}").flags(self.bucket, FOLDER, timeout=timeout)

    def begin(self, server):
        """With a database of some parts."""
        server.start(*self.flags)
        server.fill(2400, value_size=10_000)
        return server

    def none_left(self):
        equal(self.bucket.uploads(), [], "unfinished uploads")


# (what, which requests): of an upload in parts, and of its metadata.
PASSING = [
    (Answer(503, "SlowDown", Retry_After="1"), {"method": "PUT", "times": 3}),
    (Answer(500, "InternalError"), {"method": "PUT", "path": "partNumber=2", "times": 2}),
    (Answer(503, "ServiceUnavailable"), {"method": "POST", "times": 2}),
    (Answer(400, "RequestTimeout"), {"method": "PUT", "path": "partNumber=1", "times": 1}),
    (Answer(200, "InternalError"), {"method": "POST", "path": "uploadId=", "times": 1}),
    (Answer(503, "SlowDown"), {"method": "HEAD", "times": 2}),
    (Answer(503, "SlowDown"), {"method": "PUT", "path": r"/\.metadata/", "times": 2}),
    (Reset("request", 5_000_000), {"method": "PUT", "path": "partNumber=", "times": 2}),
    (Truncate("request", 1000), {"method": "PUT", "path": "partNumber=", "times": 1}),
    (Lost(), {"method": "PUT", "path": "partNumber=", "times": 1}),
    (Lost(), {"method": "POST", "path": "uploadId=", "times": 1}),
    (Lost(), {"method": "PUT", "path": r"/\.metadata/", "times": 1}),
    (Stall("request", 3_000_000), {"method": "PUT", "path": "partNumber=1", "times": 1}),
    (Corrupt("request", 3_000_000), {"method": "PUT", "path": "partNumber=1", "times": 1}),
    (Truncate("response", 10), {"method": "POST", "path": "uploadId=", "times": 1}),
]


def test_trouble_that_passes_is_survived_by_a_save(bench):
    way = Way(bench)
    server = way.begin(bench.server())
    for i, (action, match) in enumerate(PASSING):
        rule = way.proxy.add(action, **match)
        result = server.snapshot("save", f"--name=s{i}")
        equal(result.code, 0, vars(action), match, result)
        check(rule.hits >= 1, "never happened:", vars(action), match)
        way.proxy.clear()
        [name] = [n for n in objects(way.bucket, FOLDER) if n.startswith(f"s{i}-")]
        check(way.bucket.get(f"{FOLDER}/{name}") == (server.snapshots / name).read_bytes(), "other bytes after", vars(action))
        json.loads(way.bucket.get(f"{FOLDER}/.metadata/{name}"))
        equal(server.snapshot("delete", name).code, 0)
        way.none_left()
    server.stop()


STAYING = [
    (Answer(503, "SlowDown"), {"method": "PUT"}, "SlowDown"),
    (Answer(500, "InternalError"), {"method": "POST", "path": "uploads="}, "InternalError"),
    (Answer(200, "InternalError"), {"method": "POST", "path": "uploadId="}, "InternalError"),
    (Answer(403, "AccessDenied", "not you"), {"method": "PUT"}, "AccessDenied"),
    (Answer(403, "QuotaExceeded"), {"method": "PUT", "path": "partNumber=2"}, "QuotaExceeded"),
    (Reset("request", 100_000), {"method": "PUT"}, ""),
    (Stall("request", 100_000), {"method": "PUT", "path": "partNumber="}, ""),
    (Header("ETag", '"0123456789abcdef0123456789abcdef"'), {"method": "PUT", "path": "partNumber="}, "ETag"),
]


def test_trouble_that_stays_is_told(bench):
    way = Way(bench, timeout="1s")
    server = way.begin(bench.server())
    for i, (action, match, text) in enumerate(STAYING):
        rule = way.proxy.add(action, **match)
        result = server.snapshot("save", f"--name=s{i}")
        check(result.code != 0, vars(action), match, result)
        check(rule.hits >= 1, "never happened:", vars(action), match)
        contains(result.err, text)
        contains(result.err, f"s{i}-node-1-")
        way.proxy.clear()
        # The local one is good and stays; in the bucket is nothing of it.
        [name] = [p.name for p in server.snapshots.glob(f"s{i}-*")]
        equal(server.snapshot("status", server.snapshots / name).code, 0)
        equal([n for n in way.bucket.list() if f"s{i}-" in n], [])
        check((name, "local") in rows(server) and (name, "s3") not in rows(server), name)
    server.stop()
    server.start(*way.flags)
    wait_for(lambda: not way.bucket.uploads(), "the unfinished uploads to be aborted")
    server.stop()


def test_while_s3_hangs_the_server_says_that_it_waits(bench):
    way = Way(bench, timeout="5m")
    server = bench.server().start(*way.flags)
    stall = Stall("request")
    way.proxy.add(stall, method="PUT")
    with connect(server, timeout=60) as c:
        c.sendall(raw_post(server, {"operation": "save", "name": ["slow"]}, "Accept: application/x-ndjson"))
        wait_for(stall.reached.is_set, "the upload")
        said = b""
        while said.count(b'"progress"') < 3:  # within each minute the command line must hear something
            piece = c.recv(65536)
            check(piece, "the connection ended after", said)
            said += piece
        way.proxy.clear()
        stall.release()
        while b'"result"' not in said:
            piece = c.recv(65536)
            check(piece, "the connection ended after", said)
            said += piece
        contains(said.decode(), '{"created":["slow-node-1-')
    server.stop()


def test_a_failed_upload_is_done_by_the_next_reconcile(bench):
    way = Way(bench, timeout="1s")
    server = bench.server().start(*way.flags, "--etcd-snapshot-reconcile-interval=1s")
    way.proxy.add(Answer(503, "SlowDown"), method="PUT")
    result = server.snapshot("save")
    check(result.code != 0, result)
    [name] = [p.name for p in server.snapshots.iterdir()]
    equal(objects(way.bucket, FOLDER), [])
    wait_for(lambda: metrics(server).get("holdfast_etcd_snapshot_s3_owed") == 1, "the metric of what is owed")
    check(metrics(server).get('holdfast_etcd_snapshot_s3_failures_total{reason="unavailable"}', 0) >= 1, metrics(server))
    contains(server.snapshot("ls", "-o", "json").out, "SlowDown")
    way.proxy.clear()
    wait_for(lambda: objects(way.bucket, FOLDER) == [name], "the upload to be made up for")
    wait_for(lambda: f"{FOLDER}/.metadata/{name}" in way.bucket.list(), "its metadata")
    check(way.bucket.get(f"{FOLDER}/{name}") == (server.snapshots / name).read_bytes(), "other bytes")
    wait_for(lambda: metrics(server).get("holdfast_etcd_snapshot_s3_owed") == 0, "nothing to be owed")
    check("SlowDown" not in server.snapshot("ls", "-o", "json").out, "the record of the failure stays")
    server.stop()


def test_killed_while_uploading(bench):
    way = Way(bench, timeout="1m")  # longer than the kill can take: a try that is given up is made again, and succeeds
    server = way.begin(bench.server())
    stall = Stall("request", 1_000_000)
    way.proxy.add(stall, method="PUT", path="partNumber=2", times=1)
    save = bench.spawn([server.program, "etcd-snapshot", "save"], "save.log", env=server.env)
    wait_for(stall.reached.is_set, "the second part")
    server.kill()
    save.wait(60)
    check(save.returncode != 0, "the command did not notice that the server died")
    stall.release()
    equal(way.bucket.list(), {}, "something half is there")
    equal(len(way.bucket.uploads()), 1)
    # Somebody else's, in another folder and under a name that is not ours.
    others = {key: way.bucket.begin_upload(key) for key in (f"{FOLDER}-2/on-demand-node-1-1700000000", f"{FOLDER}/their.iso")}
    server.start(*way.flags)
    wait_for(lambda: sorted(way.bucket.uploads()) == sorted(others), "the orphan to be aborted")
    name = server.save().name
    check(name in objects(way.bucket, FOLDER), name)
    equal(sorted(way.bucket.uploads()), sorted(others))
    server.stop()


# --- on the way down ---

def uploaded(bench, way):
    server = way.begin(bench.server("origin"))
    name = server.save().name
    server.stop()
    return server, name


def test_trouble_on_the_way_down(bench):
    way = Way(bench)
    server, name = uploaded(bench, way)
    local, url = server.snapshots / name, f"s3://backups/{FOLDER}/{name}"
    good = bench.dir / "good"
    equal(bench.holdfast("restore", local, "--data-dir", good).code, 0)
    target = bench.dir / "restored"
    for action, times in ((Answer(503, "SlowDown"), 3), (Answer(500, "InternalError"), 2), (Reset("response", 5_000_000), 3),
                          (Reset("response", 0), 2), (Truncate("response", 5_000_000), 3), (Stall("response", 1_000_000), 1), (Lost(), 2),
                          (Answer(403, "AccessDenied"), 1)):
        rule = way.proxy.add(action, method="GET", path=f"(?<!metadata)/{name}$", times=times)
        result = bench.holdfast("restore", url, "--data-dir", target, *way.flags)
        equal(rule.hits, times, vars(action))
        way.proxy.clear()
        if isinstance(action, Answer) and action.status == 403:  # static keys: nothing to renew
            check(result.code != 0, result)
            contains(result.err, "AccessDenied")
        else:
            equal(result.code, 0, vars(action), result)
            check((target / "member/snap/db").read_bytes() == (good / "member/snap/db").read_bytes(), "other data after", vars(action))
            bench.ok("rm", "-r", target)
        check(not target.exists(), "left by a failed restore")


def test_what_is_damaged_on_the_way_down_never_reaches_a_data_directory(bench):
    way = Way(bench, timeout="1s")
    server, name = uploaded(bench, way)
    url, target = f"s3://backups/{FOLDER}/{name}", bench.dir / "restored"
    equal(bench.holdfast("restore", server.snapshots / name, "--data-dir", bench.dir / "good").code, 0)
    good = (bench.dir / "good/member/snap/db").read_bytes()
    server.start(*way.flags)
    server.etcdctl("put", "/later", "x")
    before = server.dump()
    server.stop()
    untouched = tree(server.db / "etcd")
    for action, match in ((Corrupt("response", 4_000_000), {"times": 1}), (Corrupt("response", 0), {}), (Corrupt("response", 100), {"skip": 2}),
                          (Shorten(3_000_000), {}), (Reset("response", 3_000_000), {}), (Truncate("response", 3_000_000), {}),
                          (Answer(503, "SlowDown"), {}), (Answer(404, "NoSuchKey"), {"skip": 1}), (Answer(416, "InvalidRange"), {})):
        rule = way.proxy.add(action, method="GET", path=f"(?<!metadata)/{name}$", **match)
        result = bench.holdfast("restore", url, "--data-dir", target, *way.flags)
        check(rule.hits, "never happened:", vars(action))
        if result.code == 0 and isinstance(action, (Reset, Shorten, Truncate)):  # each try gets a bit further
            check((target / "member/snap/db").read_bytes() == good, "other data after", vars(action))
            bench.ok("rm", "-r", target)
        else:
            check(result.code != 0, vars(action), result)
            contains(result.err, name)
        check(not target.exists(), "left by", vars(action))
        way.proxy.clear()
    for action in (Corrupt("response", 4_000_000), Answer(503, "SlowDown")):
        way.proxy.add(action, method="GET", path=f"(?<!metadata)/{name}$")
        (server.snapshots / name).unlink(missing_ok=True)
        result = server.restore(name, *way.flags)
        check(result.code != 0, vars(action), result)
        equal(tree(server.db / "etcd"), untouched, vars(action))
        equal([p.name for p in server.snapshots.glob("*")], [], "left in the snapshot directory")
        way.proxy.clear()
    server.start(*way.flags)
    equal(server.dump(), before)
    equal(in_s3(server), [name])
    server.stop()


def test_a_listing_with_trouble(bench):
    way = Way(bench, timeout="1s")
    for i in range(5):
        way.bucket.put(f"{FOLDER}/etcd-snapshot-x-170000000{i}", b"x")
    host = bench.server("empty")
    for action in (Answer(503, "SlowDown"), Reset("response", 100), Truncate("response", 100), Lost()):
        rule = way.proxy.add(action, method="GET", times=1)
        equal(len(in_s3(host, *way.flags)), 5, vars(action))
        equal(rule.hits, 1)
    # A listing that cannot be had, or not be read, is not an empty one.
    for action in (Answer(503, "SlowDown"), Shorten(100), Answer(403, "AccessDenied")):
        way.proxy.add(action, method="GET")
        result = host.snapshot("ls", *way.flags)
        check(result.code != 0, vars(action), result)
        way.proxy.clear()
    # Without leave to look at single objects they are listed all the same, without what is known of them.
    way.proxy.add(Answer(403, "AccessDenied"), method="HEAD", path="etcd-snapshot")
    result = host.snapshot("ls", *way.flags)
    check(result.code == 0 or "AccessDenied" in result.err or "403" in result.err, result)


def test_a_stop_does_not_wait_for_a_listing_that_hangs(bench):
    fake = s3_servers.Fake(bench)
    bucket, proxy = fake.bucket(), FaultProxy(bench.port(), fake.server.port)
    bench.stack.callback(proxy.stop)
    flags = fake.behind(f"127.0.0.1:{proxy.port}").flags(bucket, "f")

    def hanging():
        proxy.clear()
        return proxy.add(Stall("response"), method="GET", path="list-type=2").action
    stall = hanging()
    server = bench.server().start(*flags)
    check(stall.reached.wait(60), "the server lists nothing")
    began = time.monotonic()
    server.stop()
    check(time.monotonic() - began < 30, "the server's stop took", time.monotonic() - began)
    contains(server.log_text(), "Stopping etcd")
    for command in ("ls", "prune", "s3-check"):
        stall = hanging()
        process = bench.spawn([server.program, "etcd-snapshot", command, *flags], f"{command}.log", env=server.env)
        check(stall.reached.wait(60), command, "asks nothing")
        process.send_signal(signal.SIGINT)
        check(process.wait(30) != 0, command)


def test_a_save_without_a_server_promises_no_second_try(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    database = sqlite_test.Database(bench, rows=[("/k", b"v", 0)])
    directory = bench.dir / "here"
    directory.mkdir()
    argv = ["etcd-snapshot", "save", database.endpoint, *fake.flags(bucket, "f")]
    fake.server.deny("s3:PutObject")
    for more in ([], [f"--etcd-snapshot-dir={directory}"]):
        failed = database.server.holdfast(*argv, *more)
        check(failed.code != 0, failed)
        contains(failed.err, "but not in S3 (nobody tries it again")
        check("tried again every" not in failed.err, failed)
    for manifest in bench.dir.rglob(".metadata/*"):
        check("owed" not in manifest.read_text(), manifest.read_text())
    fake.server.allow("s3:PutObject")
    equal(database.server.holdfast(*argv).code, 0)
    equal(len(objects(bucket, "f")), 1)
