"""Snapshots in S3: the whole story on Ceph, Swift and the strict fake, who owns what in a bucket, names, and errors."""
import base64
import concurrent.futures
import json
import re
import time

import s3_servers
import sqlite_test
from fault_proxy import FaultProxy
from harness import check, contains, equal, wait_for
from probe import metrics
from s3_servers import set_policy

# Nothing of the machine's own, and no waiting for an instance's metadata service.
NO_CREDENTIALS = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", **dict.fromkeys((
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), "")}
EVERY_SECOND = "--etcd-snapshot-schedule-cron=@every 1s"


def rows(server, *flags):
    """Of `ls`: [(name, "local" or "s3")], sorted."""
    result = server.snapshot("ls", "-o", "json", *flags)
    equal(result.code, 0, result)
    return sorted((item["spec"]["snapshotName"], "s3" if "s3" in item["spec"] else "local") for item in json.loads(result.out)["items"])


def in_s3(server, *flags):
    return [name for name, where in rows(server, *flags) if where == "s3"]


def objects(bucket, folder):
    """Names of the snapshots that are really in a folder of the bucket."""
    prefix = folder + "/" if folder else ""
    return sorted(key.removeprefix(prefix) for key in bucket.list(prefix) if "/" not in key.removeprefix(prefix))


# --- the whole story ---

def story(bench, service, folder):
    bucket = service.bucket("backups")
    flags = service.flags(bucket, folder)
    server = bench.server().start(*flags, env=NO_CREDENTIALS)
    server.fill(60)
    before, token = server.dump(), server.token
    plain, zipped = server.save().name, server.save("--etcd-snapshot-compress").name
    for name in (plain, zipped):
        key = f"{folder}/{name}"
        check(bucket.get(key) == (server.snapshots / name).read_bytes(), name, "is another one in the bucket")
        about = bucket.head(key).metadata
        equal(sorted(about), ["holdfast-cluster-id", "holdfast-node-name", "holdfast-token-hash"])
        equal(about["holdfast-node-name"], "node-1")
        equal(bucket.head(f"{folder}/.metadata/{name}").metadata, about)
        equal(json.loads(bucket.get(f"{folder}/.metadata/{name}")), json.loads((server.db / ".metadata" / name).read_text()))
    equal(bucket.head(f"{folder}/{zipped}").headers["content-type"], "application/zip")
    equal(bucket.head(f"{folder}/{plain}").headers["content-type"], "application/octet-stream")
    equal(rows(server), sorted((n, w) for n in (plain, zipped) for w in ("local", "s3")))
    listed = server.snapshot("ls").out
    contains(listed, f"s3://backups/{folder}/{plain}")

    third, fourth = server.save("--name=other").name, server.save("--name=other").name
    pruned = server.snapshot("prune", "--name=other", "--snapshot-retention=1", "--etcd-s3-retention=1")
    equal(pruned.code, 0, pruned)
    equal([n for n, _ in rows(server) if n in (third, fourth)], [fourth] * 2)
    deleted = server.snapshot("delete", fourth)
    equal(deleted.code, 0, deleted)
    equal(sorted(bucket.list(folder + "/")), sorted(f"{folder}/{m}{n}" for n in (plain, zipped) for m in ("", ".metadata/")))
    server.stop()

    # A host that has nothing but the S3 flags and the token.
    new = bench.server("new")
    equal(in_s3(new, *flags), sorted([plain, zipped]))
    for name in (plain, zipped):
        restored = new.restore(name, *flags, f"--token={token}")
        equal(restored.code, 0, restored)
        new.start(*flags, f"--token={token}")
        equal(new.dump(), before)
        new.stop()


def test_the_whole_story_on_ceph(bench):
    story(bench, s3_servers.Rgw(bench), "clusters/a")


def test_the_whole_story_on_swift(bench):
    story(bench, s3_servers.Swift(bench), "clusters/a")


def test_the_whole_story_on_the_strict_fake(bench):
    story(bench, s3_servers.Fake(bench, page=3, region="eu-central-1"), "clusters/a")


def test_the_whole_story_over_tls_by_virtual_host(bench):
    fake = s3_servers.Fake(bench, tls=True)
    port = fake.server.port
    bucket = fake.bucket("my-bucket")
    server = bench.server().start(*fake.flags(bucket, "f", endpoint=f"s3.localhost:{port}", bucket_lookup_type="dns", skip_ssl_verify="true"))
    name = server.save().name
    contains(server.log_text(), f"the certificate of my-bucket.s3.localhost:{port} is not checked")
    equal(objects(bucket, "f"), [name])
    check(f"PUT /f/{name} 200" in fake.server.log, "not by virtual host:", fake.server.log)
    server.stop()


# --- names and many of them ---

def test_names_of_all_kinds(bench):
    sample = bench.sample_snapshot(5)
    for service in (s3_servers.Rgw(bench), s3_servers.Fake(bench, page=2)):
        bucket = service.bucket("names")
        folder = "/über cluster/a+b=c & d/"
        flags = service.flags(bucket, folder)
        server = bench.server(f"data-{service.host[-5:]}").start(*flags)
        names = [server.save(f"--name={base}").name for base in ("nightly", "a b+c=d", "schöne Grüße", "percent%20")]
        for name in names:
            check(bucket.get(f"{folder.strip('/')}/{name}") == (server.snapshots / name).read_bytes(), name)
        # what others may have put there
        strange = ["with space.db", "plus+equals=.db", "schnappschuß-快照", "per%20cent", "semi;colon,comma@&'()~!*"]
        for other in strange:
            bucket.put(f"{folder.strip('/')}/{other}", sample.read_bytes())
        equal(in_s3(server), sorted([*names, *strange]))
        server.stop()
        for i, other in enumerate([*strange, names[1], names[2]]):
            target = bench.dir / f"restored-{service.host[-5:]}-{i}"
            restored = bench.holdfast("restore", f"s3://names/{folder.strip('/')}/{other}", "--data-dir", target, *flags)
            equal(restored.code, 0, other, restored)
            check((target / "member/snap/db").exists(), other)
        server.start(*flags)
        deleted = server.snapshot("delete", *strange, *names[1:])
        equal(deleted.code, 0, deleted)
        equal(sorted(bucket.list()), sorted(f"{folder.strip('/')}/{m}{names[0]}" for m in ("", ".metadata/")))
        server.stop()


def test_many_objects(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    names = [f"etcd-snapshot-node-{i % 7}-{1700000000 + i}" for i in range(2500)]
    with fake.server.lock:
        for name in names:
            fake.server.buckets["backups"][f"prod/{name}"] = s3_servers.fake_s3.Object(b"x" * 100, {})
    equal(in_s3(bench.server(), *fake.flags(bucket, "prod")), sorted(names))
    # Ceph's pages are of a thousand.
    rgw = s3_servers.Rgw(bench)
    bucket, names = rgw.bucket(), names[:1050]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: bucket.put(f"prod/{name}", b"x"), names))
    equal(in_s3(bench.server(), *rgw.flags(bucket, "prod")), sorted(names))


# --- whose is what ---

def attributes(bucket, folder):
    return {name: bucket.head(f"{folder}/{name}").metadata for name in objects(bucket, folder)}


def test_two_clusters_and_three_nodes_share_a_folder(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    flags = fake.flags(bucket, "shared")
    made = {}
    for cluster in ("a", "b"):
        server = bench.server(cluster)
        for node in ("node-1", "node-2", "node-3") if cluster == "a" else ("node-1",):
            server.start(*flags, f"--node-name={node}")
            # Three in a second are named for seconds to come, which another cluster's node of that name must not meet.
            named = max((int(name.rsplit("-", 1)[1]) for names in made.values() for name in names), default=0)
            wait_for(lambda last=named: time.time() > last + 1, "a second that no name has")
            made[cluster, node] = [server.save("--name=etcd-snapshot").name for _ in range(3)]
            server.stop()
    equal(len(objects(bucket, "shared")), 12)
    about = attributes(bucket, "shared")
    equal({about[n]["holdfast-cluster-id"] for n in made["b", "node-1"]} & {about[n]["holdfast-cluster-id"] for n in made["a", "node-1"]}, set())

    # Retention of node-2 of cluster a: its own go, everybody else's stay.
    server = bench.server("a2")
    server.data_dir = bench.dir / "a"
    server.start(*flags, "--node-name=node-2", EVERY_SECOND, "--etcd-s3-retention=2", "--etcd-snapshot-retention=50")

    def own():
        return [n for n in objects(bucket, "shared") if n.startswith("etcd-snapshot-node-2-")]

    def first_ones_are_gone():
        found = own()
        return len(found) == 2 and not set(made["a", "node-2"]) & set(found)
    # Not after the stop: that may come between an upload and its retention.
    wait_for(first_ones_are_gone, "node-2's first snapshots to go, and two to stay")
    server.stop()
    others = sorted(set(objects(bucket, "shared")) - set(own()))
    equal(others, sorted(set(sum((names for key, names in made.items() if key != ("a", "node-2")), []))))
    # And a prune of cluster b does not touch a's, though node and base have the same names.
    server = bench.server("b2")
    server.data_dir = bench.dir / "b"
    server.start(*flags)
    pruned = server.snapshot("prune", "--name=etcd-snapshot", "--snapshot-retention=1", "--etcd-s3-retention=1")
    equal(pruned.code, 0, pruned)
    server.stop()
    left = objects(bucket, "shared")
    equal([n for n in made["b", "node-1"] if n in left and n not in made["a", "node-1"]], [made["b", "node-1"][-1]])
    check(set(made["a", "node-1"] + made["a", "node-3"]) <= set(left), "another cluster's were pruned:", left)


def test_an_object_that_may_not_be_looked_at_keeps_nothing_from_working(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    sealed = "f/etcd-snapshot-node-1-1600000000"  # by its name one of ours
    bucket.put(sealed, b"another account's")
    fake.server.sealed.add(sealed)
    flags = fake.flags(bucket, "f")
    server = bench.server().start(*flags, EVERY_SECOND, "--etcd-s3-retention=2", "--etcd-snapshot-retention=50")
    wait_for(lambda: len(re.findall("Removed snapshot .* from S3", server.log_text())) >= 2, "uploads and retention")
    check(sealed in bucket.list(), "it was removed")
    check("f/.metadata/" + sealed[2:] not in bucket.list(), bucket.list())
    contains(server.log_text(), f"s3://backups/{sealed} is not counted")
    listed = server.snapshot("ls")
    equal(listed.code, 0, listed)
    contains(listed.out, f"s3://backups/{sealed}")
    contains(listed.err, "403")
    server.stop()
    # A server beside a datastore begins with a look at the snapshots: is it one that was here before?
    database = sqlite_test.Database(bench, rows=[("/k", b"v", 0)])
    database.start(*flags, "--token=t")
    database.server.save()
    database.server.stop()


def test_a_folder_is_not_the_one_that_begins_alike(bench):
    rgw = s3_servers.Rgw(bench)
    bucket = rgw.bucket()
    two = bench.server("two").start(*rgw.flags(bucket, "prod-2"))
    theirs = two.save("--name=etcd-snapshot").name
    two.stop()
    for key in ("prod", "prod/deeper/etcd-snapshot-node-1-1700000000", "prodetcd-snapshot-node-1-1700000000", "etcd-snapshot-node-1-1700000000"):
        bucket.put(key, b"somebody's")
    foreign = set(bucket.list())
    one = bench.server("one").start(*rgw.flags(bucket, "prod"), EVERY_SECOND, "--etcd-s3-retention=1", "--etcd-snapshot-retention=1")
    wait_for(lambda: len(re.findall("Uploaded snapshot", one.log_text())) >= 3, "three uploads")
    # Not after the stop: that may come between an upload and its retention.
    wait_for(lambda: len(objects(bucket, "prod")) == 1, "one snapshot to stay")
    equal([n for n in in_s3(one) if n == theirs], [])
    one.stop()
    check(foreign <= set(bucket.list()), "gone:", foreign - set(bucket.list()))


def test_retention_of_its_own_in_s3(bench):
    """Upstream's case with seconds for minutes: retention 2, in S3 1."""
    rgw = s3_servers.Rgw(bench)
    bucket = rgw.bucket()
    server = bench.server().start(*rgw.flags(bucket, "e2e"), EVERY_SECOND, "--etcd-snapshot-retention=2", "--etcd-s3-retention=1")

    def counts():
        where = [where for _, where in rows(server)]
        return where.count("local"), where.count("s3")

    def three_later():
        # between the new one and the end of the old one there is one more
        check(counts()[0] <= 3 and counts()[1] <= 2, counts())
        return len(re.findall(r"Uploaded snapshot", server.log_text())) >= 4 and counts() == (2, 1)
    wait_for(three_later, "two local rows and one of S3 after some saves")
    check(len(bucket.list("e2e/")) <= 4, bucket.list("e2e/"))
    server.stop()


# --- what it says when it does not work ---

class Asker:
    """A server without S3, and saves with S3 settings of their own."""

    def __init__(self, bench):
        self.server = bench.server().start(env=NO_CREDENTIALS)

    def fails(self, flags, *texts, env=None, saved=0):
        before = set(self.server.snapshots.glob("*")) if self.server.snapshots.exists() else set()
        result = self.server.snapshot("save", *flags, env=env)
        check(result.code != 0, "a save succeeded that could not:", flags, result)
        for text in texts:
            contains(result.err, text)
        check("Traceback" not in result.err and "internal error" not in result.err.lower(), result)
        equal(len(set(self.server.snapshots.glob("*")) - before), saved, "snapshots beside", result)
        return result

    def works(self, flags, env=None):
        result = self.server.snapshot("save", *flags, env=env)
        equal(result.code, 0, result)
        return result


def test_wrong_settings_are_told(bench):
    fake, rgw = s3_servers.Fake(bench, region="eu-west-1"), s3_servers.Rgw(bench)
    asker = Asker(bench)
    for service in (fake, rgw):
        bucket = service.bucket()
        asker.works(service.flags(bucket))
        # A HEAD has no body, so that a code can be told only where another request was asked.
        secret = "this/is/the+wrong/secret"
        wrong = asker.fails(service.flags(bucket, secret_key=secret), "failed to initialize S3 client", "backups", "403")
        check(secret not in wrong.err + asker.server.log_text(), "a secret in", wrong)
        asker.fails(service.flags(bucket, access_key="nobody"), "failed to initialize S3 client", "403")
        asker.fails(service.flags(bucket, bucket="nowhere"), "bucket nowhere does not exist")
        asker.fails(service.flags(bucket, bucket=""), "s3 bucket name was not set")
        asker.fails(service.flags(bucket, endpoint=service.url), "etcd-s3-endpoint")
        asker.fails(service.flags(bucket, endpoint=f"127.0.0.1:{bench.port()}", timeout="1s"), "failed to initialize S3 client", "backups")
        asker.fails(service.flags(bucket, endpoint="no-such-host.invalid", timeout="1s"), "no-such-host.invalid")
        asker.fails(service.flags(bucket, timeout="0s"), "etcd-s3-timeout must be greater than 0s")
        asker.fails(service.flags(bucket, proxy="10.0.0.1:3128"), "proxy URL must include scheme and host")
        asker.fails(service.flags(bucket, access_key=None, secret_key=None), "credentials", env=NO_CREDENTIALS)
    asker.fails(fake.flags(fake.client("backups"), region="us-west-2"), "region")
    fake.server.clock_ahead = 3600
    asker.fails(fake.flags(fake.client("backups")), "clock")
    fake.server.clock_ahead = -3600
    asker.fails(fake.flags(fake.client("backups")), "clock")
    asker.server.stop()


def test_the_region_on_swift(bench):
    swift = s3_servers.Swift(bench)
    bucket, asker = swift.bucket(), Asker(bench)
    asker.works(swift.flags(bucket))
    asker.fails(swift.flags(bucket, region="us-west-2"), "region")
    asker.fails(swift.flags(bucket, secret_key="wrong"), "failed to initialize S3 client", "403")
    asker.fails(swift.flags(bucket, access_key=None, secret_key=None), "credentials")
    asker.server.stop()


def test_a_private_ca(bench):
    rgw, asker = s3_servers.Rgw(bench, tls=True), Asker(bench)
    bucket, pem = rgw.bucket(), open(rgw.ca_file, "rb").read()
    asker.works(rgw.flags(bucket))
    asker.works(rgw.flags(bucket, endpoint_ca=base64.b64encode(pem).decode()))
    other, _, _ = s3_servers.make_certificates(bench, "other")
    asker.works(rgw.flags(bucket, endpoint_ca=f"{other} {rgw.ca_file}"))
    asker.works(rgw.flags(bucket, endpoint_ca=None, skip_ssl_verify="true"))
    contains(asker.server.log_text(), "skip-ssl-verify")
    for wrong in (None, other):
        asker.fails(rgw.flags(bucket, endpoint_ca=wrong, timeout="2s"), "failed to initialize S3 client", "certificate")
    asker.fails(rgw.flags(bucket, endpoint_ca=bench.dir / "none.crt"), "none.crt")
    (bench.dir / "bad.crt").write_text("no certificate")
    asker.fails(rgw.flags(bucket, endpoint_ca=bench.dir / "bad.crt"), "bad.crt")
    asker.server.stop()


def test_by_a_proxy(bench):
    asker = Asker(bench)
    for service in (s3_servers.Fake(bench), s3_servers.Rgw(bench, tls=True)):
        bucket = service.bucket()
        proxy = FaultProxy(bench.port(), None)
        bench.stack.callback(proxy.stop)
        url = f"http://127.0.0.1:{proxy.port}"
        asker.works(service.flags(bucket, proxy=url))
        check(proxy.log, "the proxy was not used")
        proxy.log.clear()
        asker.works(service.flags(bucket, proxy="none"))
        equal(proxy.log, [], "the proxy was used")
        asker.fails(service.flags(bucket, proxy=f"http://user:geheim@127.0.0.1:{bench.port()}", timeout="1s"), "proxy")
        check("geheim" not in asker.server.log_text(), "the proxy's password is in the log")
    asker.server.stop()
    # From the environment of the server, which uploads.
    fake = s3_servers.Fake(bench)
    bucket, proxy = fake.bucket(), FaultProxy(bench.port(), None)
    bench.stack.callback(proxy.stop)
    elsewhere = f"elsewhere.test:{fake.server.port}"  # never for a server on this host
    server = bench.server("env").start(*fake.flags(bucket, endpoint=elsewhere), env={"http_proxy": f"http://127.0.0.1:{proxy.port}"})
    server.save()
    check(proxy.log, "the proxy of the environment was not used")
    server.stop()


def test_a_bucket_that_nobody_may_delete_in(bench):
    rgw = s3_servers.Rgw(bench)
    bucket = rgw.bucket()
    set_policy(bucket, "s3:DeleteObject")
    server = bench.server().start(*rgw.flags(bucket, "prod"), "--etcd-snapshot-retention=1")
    first, second = server.save("--name=etcd-snapshot").name, server.save("--name=etcd-snapshot").name
    equal(objects(bucket, "prod"), sorted([first, second]))
    pruned = server.snapshot("prune", "--name=etcd-snapshot", "--snapshot-retention=1", "--etcd-s3-retention=1")
    check(pruned.code != 0, pruned)
    contains(pruned.err, first)
    contains(pruned.err, "AccessDenied")
    deleted = server.snapshot("delete", second)
    check(deleted.code != 0, deleted)
    contains(deleted.err, "AccessDenied")
    equal(objects(bucket, "prod"), sorted([first, second]))
    server.stop()
    # By the clock: it goes on saving, and says what it could not remove.
    server.start(*rgw.flags(bucket, "prod"), EVERY_SECOND, "--etcd-snapshot-retention=1", "--etcd-s3-retention=1")
    wait_for(lambda: len(objects(bucket, "prod")) >= 4, "more saves")
    wait_for(lambda: re.search(r"level=(warning|error).*AccessDenied", server.log_text()), "a word about it")
    wait_for(lambda: metrics(server).get('holdfast_etcd_snapshot_s3_retention_failures_total{reason="permission_denied"}', 0) >= 1, "a count of it")
    server.stop()


def test_what_is_asked_of_the_service(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    server = bench.server().start(*fake.flags(bucket), "--etcd-s3-sse=aws:kms", "--etcd-s3-sse-kms-key-id=the-key", "--etcd-s3-storage-class=STANDARD_IA")
    server.fill(2000, value_size=10_000)  # more than one part
    about = bucket.head(server.save().name)
    check(about.headers["etag"].strip('"').split("-")[1] >= "2", about)
    equal(about.headers["x-amz-server-side-encryption"], "aws:kms")
    equal(about.headers["x-amz-server-side-encryption-aws-kms-key-id"], "the-key")
    equal(about.headers["x-amz-storage-class"], "STANDARD_IA")
    server.stop()


def test_the_check_says_what_is_missing(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    flags = fake.flags(bucket, "prod")
    good = bench.holdfast("etcd-snapshot", "s3-check", *flags, env=NO_CREDENTIALS)
    equal(good.code, 0, good)
    equal(bucket.list(), {}, "left by the check")
    equal(bucket.uploads(), [])
    for action in ("s3:DeleteObject", "s3:PutObject", "s3:GetObject", "s3:ListBucket"):
        fake.server.deny(action)
        bad = bench.holdfast("etcd-snapshot", "s3-check", *flags, env=NO_CREDENTIALS)
        check(bad.code != 0, action, bad)
        failed = [line for line in bad.out.splitlines() if "FAILED" in line]
        check(any(action in line for line in failed), action, "is not named as missing:", bad)
        fake.server.allow(action)
        for key in bucket.list():
            bucket.delete(key)
    # What the settings ask for is tried: a class that nobody knows, as any upload would.
    bad = bench.holdfast("etcd-snapshot", "s3-check", *flags, "--etcd-s3-storage-class=NO_SUCH_CLASS", env=NO_CREDENTIALS)
    check(bad.code != 0, bad)
    check(re.search("put an object .*FAILED", bad.out), bad)
    fake.server.only_encrypted = True
    check(bench.holdfast("etcd-snapshot", "s3-check", *flags, env=NO_CREDENTIALS).code != 0, "an upload would be refused")
    encrypted = bench.holdfast("etcd-snapshot", "s3-check", *flags, "--etcd-s3-sse=AES256", env=NO_CREDENTIALS)
    equal(encrypted.code, 0, encrypted)
    equal((bucket.uploads(), bucket.list()), ([], {}), "left by the check")
    fake.server.clock_ahead = 3600
    skewed = bench.holdfast("etcd-snapshot", "s3-check", *flags, env=NO_CREDENTIALS)
    check(skewed.code != 0, skewed)
    contains(skewed.out + skewed.err, "clock")
