"""What is the same for every datastore: the keys' way from each kind to the next and home, the token check of a restore, a
snapshot without a server, and answers to what only a cluster of our own has. The kinds' own stories: sqlite_test, ..."""
import base64
import json
import re

import s3_servers
from databases import Postgres
from external_etcd_test import Members
from harness import BareEtcd, check, contains, equal, wait_for
from mariadb import MariaDb
from probe import metrics
from s3_test import in_s3
from sqlite_test import Database


def datastore(bench, *argv, code=0):
    result = bench.holdfast("datastore", *argv)
    equal(result.code, code, argv, result)
    return result


def migrate(bench, source, target, *more, code=0):
    return datastore(bench, "migrate", f"--from={source}", f"--to={target}", *more, code=code)


def status(bench, endpoint, *more):
    return json.loads(datastore(bench, "status", f"--datastore-endpoint={endpoint}", *more, "-o", "json").out)


def test_the_keys_go_round_all_kinds_and_come_home(bench):
    rows = [(f"/registry/{i % 300}", b"v%d\x00\xff\n\\'" % i * (i % 40), i % 13 == 0) for i in range(1000)]
    rows.append(("/registry/leased", b"until then", False))
    sqlite = Database(bench, rows=[(name, b"" if deleted else value, int(deleted)) for name, value, deleted in rows])
    etcd = Members(bench).start()
    postgres, maria = Postgres(bench), MariaDb(bench)
    home = bench.dir / "home.db"
    ca = f"{etcd.dir}/ca.crt"
    first = f"sqlite://{sqlite.path}"
    before = status(bench, first)
    check(0 < before["liveKeys"] < 300, before)
    migrate(bench, first, etcd.url(), f"--to-cafile={ca}")
    lease = etcd.etcdctl("lease", "grant", "3600").split()[1]
    etcd.etcdctl("put", "/registry/leased", "until then", f"--lease={lease}")
    migrate(bench, etcd.url(), postgres.url(), f"--from-cafile={ca}")
    migrate(bench, postgres.url(), maria.url())
    contains(migrate(bench, maria.url(), f"sqlite://{home}").err, f"content hash {before['contentHash']} on both sides")
    for endpoint, *more in ((first,), (etcd.url(), f"--datastore-cafile={ca}"), (postgres.url(),), (maria.url(),), (f"sqlite://{home}",)):
        found = status(bench, endpoint, *more)
        equal((found["contentHash"], found["liveKeys"]), (before["contentHash"], before["liveKeys"]), endpoint)
    # Whoever has keys already keeps them.
    contains(migrate(bench, first, maria.url(), code=1).err, "holds keys already")
    equal(status(bench, first), before, "the source")


def test_history_goes_along_between_kine_tables_unless_it_is_left(bench):
    sqlite = Database(bench, rows=[("/a", b"1", 0), ("/a", b"2", 0), ("/b", b"3", 0), ("/b", b"", 1)])
    first, postgres = f"sqlite://{sqlite.path}", Postgres(bench)
    migrate(bench, first, postgres.url())
    equal(postgres.sql("select id, name, deleted, encode(value, 'escape') from kine where name like '/%' order by id"),
          "1|/a|0|1\n2|/a|0|2\n3|/b|0|3\n4|/b|1|")
    live = bench.dir / "live.db"
    migrate(bench, first, f"sqlite://{live}", "--live-only")
    equal(status(bench, f"sqlite://{live}")["revision"], 1)


def sealed_bootstrap(bench):
    """The bootstrap data of a real cluster with the token "right", as they lie in its datastore."""
    owner = bench.server("owner").start("--token=right")
    found = json.loads(owner.etcdctl("get", "--prefix", "/bootstrap/", "-w", "json"))
    owner.stop()
    return found["kvs"][0]


def test_a_restore_wants_the_token_that_opens_what_is_inside(bench):
    kv = sealed_bootstrap(bench)
    name, value = (base64.b64decode(kv[part]) for part in ("key", "value"))
    database = Database(bench, rows=[(name.decode(), value, 0), ("/k", b"v", 0)]).start()
    snapshot = database.server.save()
    database.server.stop()
    target = bench.dir / "new.db"
    base = ["restore", snapshot, f"--datastore-endpoint=sqlite://{target}", f"--etcd-snapshot-dir={database.snapshots}"]
    hidden = {"HOLDFAST_CONFIG_FILE": str(bench.dir / "none.yaml")}
    without = bench.holdfast(*base, env=hidden)
    equal(without.code, 4, without)
    contains(without.err, f"token hash {name.decode().rsplit('/', 1)[1]}")
    wrong = bench.holdfast(*base, "--token=wrong", env=hidden)
    equal(wrong.code, 4, wrong)
    check(not target.exists(), "something was restored")
    right = bench.holdfast(*base, "--token=right", env=hidden)
    equal(right.code, 0, right)
    equal(status(bench, f"sqlite://{target}")["liveKeys"], 2)
    equal(json.loads(bench.holdfast("etcd-snapshot", "status", snapshot, "-o", "json").out)["tokenHashes"], [name.decode().rsplit("/", 1)[1]])


def test_a_snapshot_of_a_named_datastore_needs_no_server(bench):
    database = Database(bench, rows=[("/k", b"v", 0)])
    directory = bench.dir / "here"
    directory.mkdir()
    argv = ["etcd-snapshot", "save", database.endpoint, f"--etcd-snapshot-dir={directory}", "--name=cron"]
    result = bench.holdfast(*argv)
    equal(result.code, 0, result)
    equal([p.name.rsplit("-", 1)[0].startswith("cron-") for p in directory.iterdir()], [True])
    # A server on this host has an etcd of its own: the named datastore is meant all the same. In the server's own directory only the
    # server takes snapshots.
    other = bench.server("other").start()
    equal(bench.holdfast(*argv, env=other.env).code, 0)
    equal(len(list(directory.iterdir())), 2)
    refused = bench.holdfast("etcd-snapshot", "save", database.endpoint, env=other.env)
    check(refused.code != 0, refused)
    contains(refused.err, f"a server runs on {other.data_dir}")


def test_what_only_a_cluster_has_is_refused_with_what_works(bench):
    database = Database(bench, rows=[("/k", b"v", 0)]).start()
    server = database.server
    for argv in (["node", "ls"], ["node", "remove", "x"], ["token", "rotate"]):
        result = server.holdfast(*argv)
        equal(result.code, 1, argv, result)
        contains(result.err, "this server protects a datastore that others run (sqlite)")
        contains(result.err, "restore --datastore-endpoint")
    equal(metrics(server)["holdfast_datastore_healthy"], 1)
    # The file goes: it is noticed, and so is its return.
    away = database.path.with_name("away")
    database.path.rename(away)
    wait_for(lambda: server.get("/readyz")[0] == 503, "the loss to be noticed")
    equal(metrics(server)["holdfast_datastore_healthy"], 0)
    failed = server.snapshot("save")
    check(failed.code != 0, failed)
    away.rename(database.path)
    wait_for(lambda: server.get("/readyz")[0] == 200, "its return to be noticed")
    check(re.search("level=error msg=.The datastore is not well", server.log_text()), server.log_text())
    contains(server.log_text(), "The datastore is well again")


def test_with_its_token_a_new_host_is_the_server_that_took_the_snapshots(bench):
    database = Database(bench, rows=[("/k", b"v", 0)])
    directory = bench.dir / "kept"
    directory.mkdir()
    flags = [f"--etcd-snapshot-dir={directory}", "--token=one"]
    database.start(*flags)
    database.server.save()
    identity = database.server.get("/cacerts")[1]
    database.server.stop()
    for token, same in (("--token=two", False), ("--token=one", True)):
        other = bench.server(f"host{token[-3:]}").start(database.endpoint, flags[0], token)
        equal(other.get("/cacerts")[1] == identity, same, token)
        other.stop()


def test_a_datastore_that_comes_later_is_waited_for_and_why_is_told(bench):
    postgres = Postgres(bench)
    postgres.stop()
    server = bench.server("early").launch(f"--datastore-endpoint={postgres.url()}")
    wait_for(lambda: server.get("/readyz")[0] == 503 and "Connection refused" in server.get("/readyz")[1], "the reason in /readyz")
    equal(server.names(), [])
    check(server.snapshot("save").code != 0, "saved what is not there")
    postgres.start()
    server.wait_ready()
    server.save()


# --- S3, for each kind: save, ls, and on a host that knows nothing a list and a restore ---

def by_way_of_a_bucket(bench, endpoint, target, *secure):
    """Two snapshots of `endpoint`, plain and compressed, each restored from a bucket alone into what target(i) makes."""
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    flags = fake.flags(bucket, "f")
    before = status(bench, endpoint, *secure)
    server = bench.server("beside").start(f"--datastore-endpoint={endpoint}", *secure, *flags)
    names = [server.save(*compression).name for compression in (["--etcd-snapshot-compression=none"], ["--etcd-snapshot-compression=zip"], [])]
    for name in names:
        check(bucket.get(f"f/{name}") == (server.snapshots / name).read_bytes(), name, "is other bytes in the bucket")
        check("holdfast-upload-owed" not in (server.snapshots.parent / ".metadata" / name).read_text(), name, "is owed")
    equal(in_s3(server), sorted(names))
    server.stop()
    elsewhere = bench.server("elsewhere")
    equal(in_s3(elsewhere, *flags), sorted(names))
    for i, name in enumerate(names):
        into = target(i)
        restored = elsewhere.holdfast("restore", f"s3://backups/f/{name}", f"--datastore-endpoint={into}", "--yes", *flags)
        equal(restored.code, 0, name, restored)
        found = status(bench, into)
        equal((found["contentHash"], found["liveKeys"]), (before["contentHash"], before["liveKeys"]), name)


def test_sqlite_by_way_of_a_bucket(bench):
    database = Database(bench, rows=[("/a", b"1", 0), ("/b", b"\x00\xff", 0), ("/a", b"2", 0)])
    by_way_of_a_bucket(bench, f"sqlite://{database.path}", lambda i: f"sqlite://{bench.dir}/new-{i}.db")


def test_postgres_by_way_of_a_bucket(bench):
    postgres = Postgres(bench)
    postgres.fill(2000)

    def target(i):
        postgres.create(f"new{i}")
        return postgres.url(f"new{i}")
    by_way_of_a_bucket(bench, postgres.url(), target)


def test_mysql_by_way_of_a_bucket(bench):
    maria = MariaDb(bench)
    maria.fill(2000)

    def target(i):
        maria.sql(f"create database new{i} character set utf8mb4 collate utf8mb4_bin; grant all on new{i}.* to kine@'%'")
        return maria.url(f"new{i}")
    by_way_of_a_bucket(bench, maria.url(), target)


def test_an_external_etcd_by_way_of_a_bucket(bench):
    members = Members(bench).start()
    for i in range(50):
        members.etcdctl("put", f"/k{i}", f"v{i}")
    fake = s3_servers.Fake(bench)
    flags = fake.flags(fake.bucket(), "f")
    server = bench.server("beside").start(f"--datastore-endpoint={members.url()}", f"--datastore-cafile={members.dir}/ca.crt", *flags)
    names = [server.save(f"--etcd-snapshot-compression={c}").name for c in ("none", "zip")]
    server.stop()
    for name in names:
        restored = bench.holdfast("restore", f"s3://backups/f/{name}", "--data-dir", bench.dir / f"of-{name}", *flags)
        equal(restored.code, 0, restored)
        etcd = BareEtcd(bench, data_dir=bench.dir / f"of-{name}").start().wait_ready()
        equal(etcd.etcdctl("get", "/k49", "--print-value-only").strip(), "v49", name)
        etcd.stop()
