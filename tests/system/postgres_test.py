"""PostgreSQL as a datastore: dumps while it is written to, restores, and what can go wrong (databases.py has the server)."""
import json
import os
import pathlib
import signal
import subprocess

from databases import KINE, PASSWORD, PASSWORD_IN_URL, Postgres
from harness import BIN, Skip, check, contains, equal, wait_for
from reset_test import mounted


class Protected:
    """A holdfast server beside a PostgreSQL."""

    def __init__(self, bench, postgres, url=None, flags=()):
        self.bench, self.postgres, self.url = bench, postgres, url or postgres.url()
        self.flags = [f"--datastore-endpoint={self.url}", "--etcd-snapshot-retention=20", *flags]
        self.server = bench.server("data").start(*self.flags)

    @property
    def snapshots(self):
        return self.server.snapshots

    def holdfast(self, *argv, **options):
        result = self.server.holdfast(*argv, **options)
        for text in (result.out, result.err, self.server.log_text()):
            check(PASSWORD not in text and PASSWORD_IN_URL not in text, "the password is shown", text)
        return result

    def try_save(self):
        return self.holdfast("etcd-snapshot", "save")

    def save(self):
        result = self.try_save()
        equal(result.code, 0, result)
        return self.snapshots / result.err.split("Snapshot ")[-1].split(" saved.")[0]

    def restore(self, snapshot, *more, url=None):
        return self.holdfast("restore", snapshot, f"--datastore-endpoint={url or self.url}", f"--etcd-snapshot-dir={self.snapshots}", "--yes", *more)

    def restored(self, snapshot, *more, **options):
        result = self.restore(snapshot, *more, **options)
        equal(result.code, 0, result)
        return result

    def spawn(self, *argv, log):
        return self.bench.spawn([BIN, *argv], log, env=self.server.env)

    def names(self):
        return self.server.names()

    def status(self, snapshot):
        result = self.holdfast("etcd-snapshot", "status", snapshot, "-o", "json")
        equal(result.code, 0, result)
        return json.loads(result.out)

    def files(self):
        """What lies in the snapshot directory, also half-written."""
        return sorted(p.name for p in self.snapshots.iterdir() if p.is_file() and not p.name.startswith("."))

    def tool(self, name):
        """The one that the server, or a command, runs now, or none."""
        return [int(pid) for pid in self.bench.run("pgrep", "-f", f"{name} .*dbname='kine'").out.split()
                if str(self.postgres.port) in environment_of(pid)]


def environment_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def in_the_middle(bench):
    """(protected, a save in its middle, the pid of its pg_dump, which stands still)."""
    protected = Protected(bench, Postgres(bench))
    protected.postgres.fill(3000)
    protected.postgres.sql("create table other as select i, sha256(i::text::bytea) from generate_series(1, 100000) i")
    # Else a quick dump would be over before it is seen, and one that is seen early is not connected yet.
    with protected.postgres.locked("other"):
        save = protected.spawn("etcd-snapshot", "save", log="save.log")
        wait_for(protected.postgres.waiting, "the dump to ask for its tables")
        [pid] = protected.tool("pg_dump")
        os.kill(pid, signal.SIGSTOP)
    return protected, save, pid


def test_a_snapshot_under_load_is_one_moment_and_comes_back_exactly(bench):
    postgres = Postgres(bench)
    protected = Protected(bench, postgres)
    postgres.fill(3000)
    writer = postgres.writer()
    before = len(writer.acknowledged)
    snapshot = protected.save()
    after = len(writer.acknowledged)
    wait_for(lambda: len(writer.acknowledged) > after + 20, "the writer to go on")
    acknowledged = writer.stop()
    last = protected.status(snapshot)["revision"]
    check(last >= acknowledged[before - 1], "rows that were acknowledged before are missing:", last, acknowledged[before - 1])
    check(last < acknowledged[-1], "rows from after the save")
    expected = postgres.rows(where=f"id <= {last}")
    equal(int(expected.split("|")[0]), last, "no row is missing in between")
    postgres.drop()
    result = protected.restored(snapshot)
    contains(result.err + result.out, "ontent hash")
    equal(postgres.rows(), expected)
    equal(protected.names(), [snapshot.name])


def test_restored_by_hand_with_pg_restore_alone(bench):
    postgres = Postgres(bench)
    protected = Protected(bench, postgres)
    postgres.fill(2000)
    snapshot = protected.save()
    for how in ("zstd -dc {} | pg_restore --single-transaction -d {}", "zstd -qdc {} >dump; pg_restore -j2 -d {} dump; rm dump"):
        postgres.create("by_hand")
        target = f"\"host={postgres.socket} port={postgres.port} user=postgres dbname=by_hand\""
        bench.ok("sh", "-ec", how.format(snapshot, target))
        equal(postgres.rows("by_hand"), postgres.rows())
        postgres.drop("by_hand")


def test_clean_replaces_and_the_old_content_is_kept_as_a_snapshot(bench):
    postgres = Postgres(bench)
    protected = Protected(bench, postgres)
    postgres.fill(500)
    before = postgres.rows()
    snapshot = protected.save()
    postgres.sql("update kine set value = 'changed'")
    changed = postgres.rows()
    result = protected.restore(snapshot)
    check(result.code != 0, result)
    contains(result.err, "not empty")
    equal(postgres.rows(), changed)
    with subprocess.Popen([str(a) for a in postgres.argv("kine", "-c", "select pg_sleep(1000)")], stdout=subprocess.DEVNULL) as session:
        wait_for(lambda: "active" in postgres.sql("select state from pg_stat_activity where query like '%sleep(1000)'", "postgres"),
                 "the session")
        result = protected.restore(snapshot, "--clean")
        session.kill()
    check(result.code != 0, result)
    contains(result.err, "in use by postgres (psql)")
    ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query = 'select pg_sleep(1000)'"
    wait_for(lambda: postgres.sql(ended, "postgres") == "0", "the session to end")
    result = protected.restored(snapshot, "--clean")
    equal(postgres.rows(), before)
    safety = [name for name in protected.names() if name.startswith("pre-restore")]
    equal(len(safety), 1, result)
    protected.restored(protected.snapshots / safety[0], "--clean")
    equal(postgres.rows(), changed)


def test_a_dropped_database_comes_back_with_what_is_its_own(bench):
    postgres = Postgres(bench)
    protected = Protected(bench, postgres)
    postgres.drop()
    postgres.sql("create database kine owner kine template template0 locale 'C'; alter database kine set search_path = k3s; "
                 "comment on database kine is 'of k3s'; alter database kine set app.secret = 'hush'; "
                 "create role reader; grant connect on database kine to reader", "postgres")
    postgres.sql("create schema k3s")
    postgres.fill(100)
    own = """select datcollate, pg_get_userbyid(datdba), shobj_description(d.oid, 'pg_database'), setconfig, datacl from pg_database d
      join pg_db_role_setting on setdatabase = d.oid where datname = 'kine'"""
    before, rows = postgres.sql(own, "postgres"), postgres.rows()
    snapshot = protected.save()
    postgres.drop()
    postgres.sql("drop role reader", "postgres")
    refused = protected.restore(snapshot)
    check(refused.code != 0, refused)
    contains(refused.err, "roles that do not exist on this server: reader")
    equal(postgres.databases(), set())
    postgres.sql("create role reader", "postgres")
    result = protected.restored(snapshot)
    # All but what only a superuser may set.
    equal((postgres.sql(own, "postgres"), postgres.rows()), (before.replace(",app.secret=hush", ""), rows))
    contains(result.err.replace('\\"', '"'), 'refuses it to this user: ALTER DATABASE "kine" SET "app.secret" TO')
    check("hush" not in result.out + result.err, result)


def test_a_server_that_is_killed_leaves_nothing(bench):
    protected, save, _ = in_the_middle(bench)
    protected.server.kill()
    check(save.wait(90) != 0, "the save ended well")
    wait_for(lambda: not protected.tool("pg_dump"), "pg_dump to die with us")
    protected.server.start(*protected.flags)
    equal(protected.names(), [])
    wait_for(lambda: not protected.files(), "what was half-written to be removed")
    snapshot = protected.save()
    equal(protected.names(), [snapshot.name])
    equal(protected.files(), [snapshot.name])


def test_a_database_that_restarts_in_the_middle_is_an_error(bench):
    protected, save, pid = in_the_middle(bench)
    protected.postgres.stop(signal.SIGQUIT)
    os.kill(pid, signal.SIGCONT)
    check(save.wait(90) != 0, "the save ended well")
    contains((bench.dir / "save.log").read_text(), "server closed the connection unexpectedly")
    equal(protected.files(), [])
    protected.postgres.start()
    equal(protected.names(), [])
    snapshot = wait_for(lambda: protected.save() if protected.server.get("/readyz")[0] == 200 else None, "a save")
    equal(protected.names(), [snapshot.name])


def test_a_dump_tool_that_dies_is_an_error(bench):
    protected, save, pid = in_the_middle(bench)
    os.kill(pid, signal.SIGKILL)
    check(save.wait(90) != 0, "the save ended well")
    contains((bench.dir / "save.log").read_text(), "pg_dump: signal 9")
    equal(protected.names(), [])
    equal(protected.files(), [])


def test_a_restore_that_fails_changes_nothing(bench):
    postgres = Postgres(bench)
    protected = Protected(bench, postgres)
    postgres.fill(40_000, 3000)
    snapshot = protected.save()
    postgres.sql("update kine set value = 'changed'")
    before = postgres.rows()
    folder = f"--etcd-snapshot-dir={protected.snapshots}"
    restore = protected.spawn("restore", snapshot, f"--datastore-endpoint={protected.url}", folder, "--yes", "--clean", log="restore.log")
    wait_for(lambda: postgres.loading(), "pg_restore to be at work")
    restore.kill()
    restore.wait()
    wait_for(lambda: not postgres.loading(), "pg_restore to die with us")
    equal(postgres.rows(), before)
    # Into a new database: it is gone again.
    restore = protected.spawn("restore", snapshot, f"--datastore-endpoint={postgres.url('another')}", folder, "--yes", log="restore.log")
    wait_for(lambda: postgres.loading(), "pg_restore to be at work")
    restore.send_signal(signal.SIGTERM)
    check(restore.wait(90) != 0)
    equal(postgres.databases(), {"kine"})


def test_a_full_disk_is_an_error_and_leaves_nothing(bench):
    folder = mounted(bench, "small", "size=8m")
    protected = Protected(bench, Postgres(bench), flags=[f"--etcd-snapshot-dir={folder}"])
    protected.postgres.fill(10_000, 3000)
    result = protected.try_save()
    check(result.code != 0, result)
    contains(result.err, "no space left")
    equal(protected.names(), [])
    equal([p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")], [])
    wait_for(lambda: not protected.tool("pg_dump"), "pg_dump to end")


def test_what_is_refused_is_said_clearly(bench):
    postgres = Postgres(bench, tls=True)
    postgres.sql(KINE)
    postgres.sql("create role weak login password 'weak'", "postgres")
    verified = f"sslmode=verify-full&sslrootcert={postgres.ca}"
    other_ca = bench.dir / "other-ca.crt"
    bench.ok("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other",
             "-keyout", bench.dir / "other.key", "-out", other_ca)
    env = {"HOLDFAST_CONFIG_FILE": str(bench.dir / "no-config.yaml"), "HOLDFAST_DATA_DIR": str(bench.dir / "data"), "HOME": str(bench.dir)}

    def status(url, *flags):
        result = bench.holdfast("datastore", "status", f"--datastore-endpoint={url}", *flags, env=env)
        for text in (PASSWORD, PASSWORD_IN_URL, "hush"):
            check(text not in result.out + result.err, "a password is shown", result)
        return result
    for url, flags, message in (
            (postgres.url(password="hush", parameters=verified), [], 'password authentication failed for user "kine"'),
            (postgres.url(parameters="sslmode=verify-full&sslrootcert=/no/such/ca"), [], "/no/such/ca"),
            (postgres.url(parameters="sslmode=verify-full"), [], "root certificate file"),
            (postgres.url(parameters=""), [f"--datastore-cafile={other_ca}"], "certificate verify failed"),
            (postgres.url(parameters="sslmode=disable"), [], "no pg_hba.conf entry"),
            (postgres.url(user="weak", password="weak", parameters=verified), [], "may not read public.kine"),
            (postgres.url(parameters="nonsense=1"), [], 'invalid URI query parameter: "nonsense"'),
            ("postgres://kine:hush@127.0.0.1:1/kine", [], "refused")):
        result = status(url, *flags)
        check(result.code != 0, url, result)
        contains(result.err.replace('\\"', '"'), message)
    result = status(postgres.url(parameters=""), f"--datastore-cafile={postgres.ca}")
    equal(result.code, 0, result)
    protected = Protected(bench, postgres, postgres.url(parameters=""), flags=[f"--datastore-cafile={postgres.ca}"])
    protected.save()


def test_a_server_newer_than_the_tools_is_refused(bench):
    postgres = Postgres(bench)
    postgres.sql(KINE)
    old = bench.dir / "old"
    old.mkdir()
    for tool in ("pg_dump", "pg_restore"):
        (old / tool).write_text(f"#!/bin/sh\necho '{tool} (PostgreSQL) 11.9'\n")
        (old / tool).chmod(0o755)
    env = {"PATH": f"{old}:{os.environ['PATH']}", "HOLDFAST_CONFIG_FILE": str(bench.dir / "no-config.yaml")}
    status = [BIN, "datastore", "status", f"--datastore-endpoint={postgres.url()}"]
    equal(bench.run(*status, env=env).code, 0, "that of /usr/lib/postgresql is new enough")
    hidden = ["unshare", "-m", "sh", "-ec", 'mount -t tmpfs tmpfs /usr/lib/postgresql; exec "$@"', "sh"]
    if bench.run(*hidden, "true").code != 0:
        raise Skip("may not hide /usr/lib/postgresql here")
    result = bench.run(*hidden, *status, env=env)
    check(result.code != 0, result)
    contains(result.err, f"pg_dump of version {postgres.bin.parent.name} or later is needed: {old}/pg_dump is of version 11")
    contains(result.err, f"postgresql-client-{postgres.bin.parent.name}")


def test_odd_things_come_back(bench):
    """No rows; large values; bytes that are no text; a table and a database of odd names; what is not kine's."""
    postgres = Postgres(bench)
    postgres.create("Odd \"name".replace('"', '""'))
    protected = Protected(bench, postgres)
    postgres.sql(KINE)
    empty = protected.save()
    facts = protected.status(empty)
    equal((facts["revision"], facts["liveKeys"]), (0, 0), facts)
    protected.restored(empty, url=postgres.url("second"))
    equal(postgres.rows("second"), "0|")
    postgres.sql("""insert into kine (name, created, deleted, create_revision, prev_revision, lease, value, old_value) values
      (E'/odd\\t\\\\\\nname', 1, 0, 0, 0, 0, '\\x00ff80c328', '\\x00'), ('/large', 1, 0, 0, 0, 0, null, null), ('/none', 1, 0, 0, 0, 0, null, null);
      update kine set value = (select decode(string_agg(md5(i::text), ''), 'hex') from generate_series(1, 2500000) i) where name = '/large';
      create table "Odd ""table, (id) from stdin" as select 'x'::text as "a ""column", E'\\t\\\\.'::text as b; create schema other;
      create table other.kine (id int); insert into other.kine values (1)""")
    snapshot = protected.save()
    equal(protected.status(snapshot)["liveKeys"], 3)
    odd = postgres.url("x", parameters="sslmode=disable&dbname=Odd%20%22name")
    protected.restored(snapshot, url=odd)
    for query in ('select count(*), md5(string_agg(md5(k::text), \'\' order by id)) from kine k',
                  'select * from "Odd ""table, (id) from stdin"', "select * from other.kine", "select max(octet_length(value)) from kine"):
        equal(postgres.sql(query, 'Odd "name'), postgres.sql(query), query)


def test_the_password_is_in_no_argument(bench):
    protected, save, pid = in_the_middle(bench)
    arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    check(PASSWORD not in arguments and PASSWORD_IN_URL not in arguments, arguments)
    os.kill(pid, signal.SIGCONT)
    equal(save.wait(90), 0)


def test_a_server_protects_it_on_schedule(bench):
    postgres = Postgres(bench)
    postgres.fill(300)
    server = bench.server("beside")
    server.start(f"--datastore-endpoint={postgres.url()}", "--etcd-snapshot-schedule-cron=@every 1s", "--etcd-snapshot-retention=2")
    wait_for(lambda: len(server.names()) == 2, "two snapshots on schedule")

    def newest():
        """Its status. On a slow machine retention may have been faster than we: then that of a newer one."""
        status = server.snapshot("status", server.snapshots / sorted(server.names())[-1], "-o", "json")
        return json.loads(status.out) if status.code == 0 else None
    equal(wait_for(newest, "the status of the newest")["liveKeys"], 300)
    postgres.stop(signal.SIGQUIT)
    wait_for(lambda: server.get("/readyz")[0] != 200, "the server to say that its datastore is gone")
    postgres.start()
    wait_for(lambda: server.get("/readyz")[0] == 200, "the server to be ready again")
    before = set(server.names())
    wait_for(lambda: set(server.names()) - before, "another snapshot")
    server.stop()
