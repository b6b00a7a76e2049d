"""MySQL and MariaDB as the datastore of others, against a real MariaDB (mariadb.py)."""
import hashlib
import json
import os
import signal
import time

from harness import check, contains, equal, wait_for
from mariadb import KINE, PASSWORD, MariaDb, Writer
from reset_test import mounted
from s3_servers import make_certificates


def protect(bench, maria, *flags, name="data", url=None):
    """A server that protects it."""
    return bench.server(name).start(f"--datastore-endpoint={url or maria.url()}", "--etcd-snapshot-retention=20", *flags)


def restore(server, snapshot, url, *flags, good=True):
    result = server.holdfast(*restoring(server, snapshot, url), *flags)
    equal(result.code == 0, good, "restore", result)
    return result


def restoring(server, snapshot, url):
    return ["restore", snapshot, f"--datastore-endpoint={url}", f"--etcd-snapshot-dir={server.snapshots}", "--yes"]


def manifest(snapshot):
    return json.loads((snapshot.parent.parent / ".metadata" / snapshot.name).read_text())


def status(server, snapshot):
    result = server.snapshot("status", snapshot, "-o", "json")
    equal(result.code, 0, result)
    return json.loads(result.out)


def tools_of(server):
    """The dump tools that this server runs now."""
    # Not those that are only asked for their version.
    return [int(p) for p in server.bench.run("pgrep", "-P", str(server.process.pid), "-f", "mariadb-dump .*--single-transaction").out.split()]


def dumping(maria, server):
    """Begins a save that is certainly in its middle: its tool stands still. Returns the save and the tool's pid."""
    # Else a quick dump would be over before it is seen, and one that is seen early is not connected yet.
    with maria.locked():
        save = server.bench.spawn([server.program, "etcd-snapshot", "save"], "save.log", env=server.env)
        wait_for(maria.waiting, "the dump to ask for its rows")
        [pid] = tools_of(server)
        os.kill(pid, signal.SIGSTOP)
    return save, pid


def nothing_is_listed(server):
    equal(server.names(), [])
    check(not [p for p in server.snapshots.glob("*") if p.is_file() and not p.name.startswith(".")],
          "left in the folder:", list(server.snapshots.glob("*")))


def no_secret(server, *texts):
    for text in [server.log_text(), *texts]:
        check(PASSWORD not in text and PASSWORD[:6] not in text, "a password in", text)


def test_a_snapshot_under_load_comes_back_exactly(bench):
    maria = MariaDb(bench)
    maria.fill(20000)
    server = protect(bench, maria)
    with Writer(maria, 20001) as writer:
        before = int(writer.acknowledged[-1][0])
        snapshot = server.save()
        after = int(writer.acknowledged[-1][0])
        wait_for(lambda: int(writer.acknowledged[-1][0]) > after + 20, "more rows")
    facts = status(server, snapshot)
    revision = int(facts["revision"])
    check(before <= revision <= after + 1, "a snapshot of", revision, "taken from", before, "to", after)
    expected = maria.rows()[:20000] + [row for row in writer.acknowledged if int(row[0]) <= revision]
    equal(len(expected), revision)
    live = len({row[1]: row for row in expected if row[1] != "compact_rev_key"}) - sum(
        row[2] == "1" for row in {row[1]: row for row in expected}.values())
    equal(int(facts["liveKeys"]), live)
    equal(manifest(snapshot)["holdfast-content-hash"], facts["contentHash"])

    maria.sql("drop database kine")
    no_secret(server, restore(server, snapshot, maria.url()).err)
    equal(maria.rows(), expected)
    # And without us.
    maria.sql("create database byhand")
    bench.ok("bash", "-c", f"zstd -dcq '{snapshot}' | mariadb --no-defaults -uroot --socket='{maria.socket}' --binary-mode byhand")
    equal(maria.rows("byhand"), expected)
    # It replaces what is there only when told to, and saves that first.
    contains(restore(server, snapshot, maria.url(), good=False).err, "not empty")
    maria.sql("delete from kine where id > 100", "kine")
    restore(server, snapshot, maria.url(), "--clean")
    equal(maria.rows(), expected)
    equal(maria.databases(), {"kine", "byhand"})


def test_whoever_dies_in_the_middle_leaves_nothing(bench):
    maria = MariaDb(bench)
    maria.fill(30000)
    server = protect(bench, maria)

    save, tool = dumping(maria, server)  # the tool
    os.kill(tool, signal.SIGKILL)
    check(save.wait(90) != 0)
    nothing_is_listed(server)

    save, tool = dumping(maria, server)  # the database
    maria.stop(signal.SIGKILL)
    maria.start()
    os.kill(tool, signal.SIGCONT)
    check(save.wait(90) != 0)
    contains((bench.dir / "save.log").read_text(), "mariadb-dump")
    nothing_is_listed(server)

    save, tool = dumping(maria, server)  # the server
    server.process.kill()
    server.process.wait()
    check(save.wait(90) != 0)
    wait_for(lambda: not os.path.exists(f"/proc/{tool}"), "the tool to die with its server")
    server.start(f"--datastore-endpoint={maria.url()}")
    wait_for(lambda: not list(server.snapshots.glob("*.part")), "what was half-written to be removed")
    nothing_is_listed(server)
    equal(int(status(server, server.save())["revision"]), 30000)
    no_secret(server)


def test_a_restore_that_dies_changes_nothing(bench):
    maria = MariaDb(bench)
    maria.fill(30000)  # a second's work: it must still be at it when it is seen
    maria.sql("grant all on `kine\\_holdfast\\_%`.* to kine@'%'")
    server = protect(bench, maria)
    snapshot = server.save()
    maria.sql("delete from kine where id > 1000", "kine")
    before = maria.rows()

    def begun():
        """A restore whose tool stands still."""
        process = bench.spawn([server.program, *restoring(server, snapshot, maria.url()), "--clean"], "restore.log",
                              env=server.env)
        tool = int(wait_for(lambda: bench.run("pgrep", "-P", str(process.pid), "-x", "mariadb").out, "the tool to begin"))
        os.kill(tool, signal.SIGSTOP)
        return process, tool

    process, tool = begun()
    os.kill(tool, signal.SIGKILL)
    check(process.wait(90) != 0)
    contains((bench.dir / "restore.log").read_text(), "database kine is as it was")
    equal((maria.rows(), maria.databases()), (before, {"kine"}))

    process, tool = begun()
    process.kill()
    process.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{tool}"), "the tool to die with the program")
    equal(maria.rows(), before)
    left = maria.databases() - {"kine"}
    equal(len(left), 1)
    result = server.holdfast("datastore", "status", f"--datastore-endpoint={maria.url()}")
    contains(result.out + result.err, next(iter(left)))
    # What is left is named for its second, as if more had died in those that come.
    prefix, now = next(iter(left)).rsplit("_", 1)[0], int(time.time())
    maria.sql("; ".join(f"create database if not exists `{prefix}_{now + i}`" for i in range(60)))
    restore(server, snapshot, maria.url(), "--clean")
    equal(len(maria.rows()), 30000)


def test_a_restore_changes_its_own_database_only(bench):
    maria = MariaDb(bench)
    maria.sql("create database live character set utf8mb4; create database other")
    maria.sql("create table parent (id int primary key); insert into parent values (1); "
              "create table child (id int, constraint named foreign key (id) references parent (id)); "
              "create procedure p() select 1; create trigger live.tr before insert on live.parent for each row set @a = 1; "
              "alter database character set latin1", "live")
    server = protect(bench, maria, url=maria.socket_url("live"))
    snapshot = server.save()
    collation = "select default_collation_name from information_schema.schemata where schema_name = 'live'"
    maria.sql("alter database live collate latin1_bin")
    restore(server, snapshot, maria.socket_url("copy"))
    equal(maria.sql(collation), "latin1_bin")
    equal(maria.sql("select count(*) from copy.parent"), "1")
    maria.sql("create table other.c (id int, foreign key (id) references live.parent (id))")
    contains(restore(server, snapshot, maria.socket_url("live"), "--clean", good=False).err, "other.c")
    maria.sql("drop table other.c")
    restore(server, snapshot, maria.socket_url("live"), "--clean")
    maria.sql("drop database live")
    restore(server, snapshot, maria.socket_url("live"))
    equal(maria.sql("select id from parent", "live"), "1")
    equal(maria.databases(), {"kine", "live", "copy", "other"})


def test_what_the_account_may_not_make_is_known_before(bench):
    maria = MariaDb(bench, options=["--log-bin", "--server-id=1"])
    maria.fill(20)
    maria.sql("create view v as select id from kine", "kine")
    server = protect(bench, maria)
    snapshot = server.save()
    maria.sql("delete from kine where id > 10", "kine")
    result = restore(server, snapshot, maria.url(), "--clean", good=False)
    for words in ("root@localhost", "lacks SET USER", "GRANT SET USER"):
        contains(result.err, words)
    equal(len(maria.rows()), 10)
    maria.sql("grant set user on *.* to kine@'%'")
    contains(restore(server, snapshot, maria.url(), "--clean").err, "lacks PROCESS")
    equal(len(maria.rows()), 20)
    # With a binary log a trigger needs more.
    maria.sql("create trigger t before insert on kine for each row set @a = 1", "kine")
    snapshot = server.save()
    contains(restore(server, snapshot, maria.url(), "--clean", good=False).err, "log_bin_trust_function_creators")
    maria.sql("set global log_bin_trust_function_creators = 1")
    restore(server, snapshot, maria.url(), "--clean")
    equal(maria.sql("select count(*) from information_schema.triggers where trigger_schema = 'kine'"), "1")


def test_a_full_disk_leaves_nothing(bench):
    maria = MariaDb(bench)
    maria.fill(30000)
    place = mounted(bench, "small", "size=8m")
    server = protect(bench, maria, f"--etcd-snapshot-dir={place}")
    result = server.snapshot("save")
    check(result.code != 0, result)
    contains(result.err.lower(), "space")
    equal(server.names(), [])
    equal([p for p in place.rglob("*") if p.is_file() and p.stat().st_size > 0], [])


def test_what_cannot_be_used_is_named(bench):
    maria = MariaDb(bench, tls=True)
    maria.fill(10)
    good = [f"--datastore-endpoint={maria.url()}", f"--datastore-cafile={maria.ca}"]
    other_ca = make_certificates(bench, "other-tls")[0]
    maria.sql("create user poor@'%' identified by 'kinepw'; grant insert on kine.* to poor@'%'")
    server = bench.server()
    for flags, words in [
            ([f"--datastore-endpoint={maria.url(password='wrong-one')}", f"--datastore-cafile={maria.ca}"], "Access denied"),
            ([good[0]], "TLS"),
            ([good[0], f"--datastore-cafile={bench.dir}/none.crt"], "none.crt"),
            ([good[0], f"--datastore-cafile={other_ca}"], "certificate"),
            ([f"--datastore-endpoint={maria.url(user='poor', password='kinepw', parameters='?tls=skip-verify')}"], "lacks SELECT"),
            ([f"--datastore-endpoint={maria.url().replace(str(maria.port), str(bench.port()))}"], "connect"),
            (["--datastore-endpoint=mysql://u:SECRETPW@udp(h)/d"], "mysql://user:password@tcp(")]:
        result = server.holdfast("datastore", "status", *flags)
        check(result.code != 0, flags, result)
        contains(result.err, words)
        for secret in (PASSWORD, "wrong-one", "SECRETPW", "kinepw"):
            check(secret not in result.err + result.out, "a password in", result)
    equal(server.holdfast("datastore", "status", *good).code, 0)
    server.start(*good)
    snapshot = server.save()
    restore(server, snapshot, maria.url(), "--clean", f"--datastore-cafile={maria.ca}")
    equal(len(maria.rows()), 10)
    # Without the tools.
    result = server.holdfast("datastore", "status", *good, env={"PATH": "/nonexistent"})
    check(result.code != 0, result)
    contains(result.err, "mariadb-client")


def test_the_password_is_in_no_argument(bench):
    maria = MariaDb(bench)
    maria.fill(30000)
    server = protect(bench, maria)
    save, tool = dumping(maria, server)
    arguments = b" ".join(open(f"/proc/{p}/cmdline", "rb").read() for p in (tool, server.process.pid)).decode()
    contains(arguments, "--single-transaction")
    check(PASSWORD not in arguments and PASSWORD[:6] not in arguments, arguments)
    os.kill(tool, signal.SIGCONT)
    equal(save.wait(90), 0)


def test_databases_of_any_kind(bench):
    maria = MariaDb(bench, options=["--max-allowed-packet=16M"])
    odd = "o'd\"d` x"
    maria.sql("create database empty; create database `o'd\"d`` x`; create database app; create database big")
    maria.sql(KINE, "empty")
    maria.fill(100, database=odd)
    maria.sql("create table `ta'b``le; --x` (id int primary key, t text, b longblob); "
              "insert into `ta'b``le; --x` values (1, 'ü\\n', x'ff00c328'), (2, null, null)", "app")
    maria.sql("create table big (id int primary key, b longblob); set @v = unhex(repeat('00ff27c3', 1000000)); "
              "insert into big values (1, @v), (2, 'x')", "big")

    def digest(database, table, columns):
        return maria.sql(f"select {columns} from `{table.replace('`', '``')}`", database)
    checks = {
        "empty": lambda: maria.sql("select count(*) from kine", "empty"),
        odd: lambda: hashlib.sha256(repr(maria.rows(odd)).encode()).hexdigest(),
        "app": lambda: digest("app", "ta'b`le; --x", "id, hex(t), hex(b)"),
        "big": lambda: digest("big", "big", "id, sha2(b, 256), length(b)")}
    for number, (database, content) in enumerate(checks.items()):
        expected = content()
        server = bench.server(f"data{number}").start(f"--datastore-endpoint={maria.socket_url(database)}")
        snapshot = server.save()
        facts = status(server, snapshot)
        equal("contentHash" in facts, database in ("empty", odd), facts)
        maria.sql(f"drop database `{database.replace('`', '``')}`")
        restore(server, snapshot, maria.socket_url(database))
        equal(content(), expected)
        server.stop()


def test_a_value_of_100_mb_needs_a_packet_that_is_named(bench):
    maria = MariaDb(bench, options=["--max-allowed-packet=1G"])
    maria.sql("create table big (id int primary key, b longblob); insert into big values "
              "(1, unhex(repeat('00ff27c3', 26214400))), (2, 'x')", "kine")
    expected = maria.sql("select id, sha2(b, 256), length(b) from big", "kine")
    contains(expected, "104857600")
    server = protect(bench, maria)
    maria.sql("set global max_allowed_packet = 16777216")
    snapshot = server.save()
    maria.sql("drop table big", "kine")
    contains(restore(server, snapshot, maria.url(), good=False).err, "max_allowed_packet")
    equal(maria.sql("show tables", "kine"), "")
    maria.sql("set global max_allowed_packet = 1073741824")
    restore(server, snapshot, maria.url())
    equal(maria.sql("select id, sha2(b, 256), length(b) from big", "kine"), expected)
