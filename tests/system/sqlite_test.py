"""SQLite as a datastore: python3's sqlite3 module is the other program that writes to it, as K3s does, in WAL mode."""
import contextlib
import hashlib
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import urllib.parse

from harness import BIN, Skip, check, contains, equal, wait_for

SCHEMA = """
create table if not exists kine (id integer primary key autoincrement, name integer, created integer, deleted integer,
  create_revision integer, prev_revision integer, lease integer, value blob, old_value blob);
create index if not exists kine_name_index on kine (name);
create unique index if not exists kine_name_prev_revision_uindex on kine (name, prev_revision);
"""

# Commits a row at a time and then writes its id to a file, until it is killed: the history is 1, 2, 3, ...
WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
with open(sys.argv[2], "w") as acknowledged:
    n = db.execute("select coalesce(max(id), 0) from kine").fetchone()[0]
    while True:
        n += 1
        db.execute("insert into kine values (?, ?, 1, 0, 0, ?, 0, ?, null)", (n, "/k%d" % (n % 500), max(0, n - 500), b"v%d" % n * 200))
        acknowledged.write("%d\\n" % n)
        acknowledged.flush()
"""


class Database:
    """A state.db of somebody else's, and the server beside it that protects it."""

    def __init__(self, bench, rows=(), name="state.db"):
        self.bench = bench
        self.path = bench.dir / "db" / name
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self.endpoint = f"--datastore-endpoint=sqlite://{self.path}?_journal=WAL&cache=shared"
        self.server = bench.server(f"beside-{name.split('.')[0]}")
        with self.open() as db:
            db.execute("pragma journal_mode=wal")
            db.executescript(SCHEMA)
            for row in rows:
                self.put(db, *row)

    @contextlib.contextmanager
    def open(self):
        with contextlib.closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            yield db

    @staticmethod
    def put(db, name, value, deleted=0):
        previous = db.execute("select coalesce(max(id), 0) from kine where name = ?", (name,)).fetchone()[0]
        db.execute("insert into kine (name, created, deleted, create_revision, prev_revision, lease, value) values (?, ?, ?, 0, ?, 0, ?)",
                   (name, int(previous == 0), deleted, previous, value))

    def start(self, *flags):
        self.server.start(self.endpoint, *flags)
        return self

    @property
    def snapshots(self):
        return self.server.snapshots

    def files(self):
        """All that lies in the snapshot directory, hidden or not."""
        return sorted(p.name for p in self.snapshots.iterdir())

    def status(self, snapshot):
        result = self.server.snapshot("status", snapshot, "-o", "json")
        equal(result.code, 0, result)
        return json.loads(result.out)

    def restore(self, snapshot, *flags):
        return self.server.holdfast("restore", snapshot, self.endpoint, f"--etcd-snapshot-dir={self.snapshots}", "--yes", *flags)

    def rows(self):
        return rows_of(self.path)

    def writer(self):
        acknowledged = self.bench.dir / "acknowledged"
        process = self.bench.spawn(["python3", "-c", WRITER, self.path, acknowledged], "writer.log")
        wait_for(lambda: acknowledged.exists() and acknowledged.stat().st_size > 0, "the writer to write")
        return process, lambda: len(acknowledged.read_text().splitlines())


def rows_of(path):
    # A snapshot is one file, and looking leaves nothing beside it.
    uri = f"file:{urllib.parse.quote(str(path))}" + ("?immutable=1" if "snapshots" in str(path) else "")
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
        equal(db.execute("pragma integrity_check").fetchall(), [("ok",)])
        return db.execute("select id, cast(name as blob), created, deleted, prev_revision, value, old_value from kine order by id").fetchall()


def content_hash(rows):
    """docs/formats/content-hash.md, once more."""
    live = {}
    for row in rows:
        live[bytes(row[1])] = row
    entries = sorted(hashlib.sha256(len(name).to_bytes(8, "little") + name + (row[5] or b"")).digest()
                     for name, row in live.items() if not row[3] and name != b"compact_rev_key")
    return hashlib.sha256(b"".join(entries)).hexdigest()


def test_a_snapshot_under_load_holds_every_acknowledged_row_and_is_a_prefix(bench):
    database = Database(bench).start()
    writer, acknowledged = database.writer()
    for _ in range(3):
        before = acknowledged()
        snapshot = database.server.save()
        rows = rows_of(snapshot)
        check(len(rows) >= before, f"{before} rows were acknowledged before, the snapshot holds {len(rows)}")
        equal([row[0] for row in rows], list(range(1, len(rows) + 1)), "ids")
        check(all(row[5] == b"v%d" % row[0] * 200 for row in rows), "a value is another")
        status = database.status(snapshot)
        equal((status["revision"], status["contentHash"]), (len(rows), content_hash(rows)))
        now = acknowledged()
        wait_for(lambda n=now: acknowledged() > n, "the writer to go on")
    check(writer.poll() is None, "the writer failed")
    writer.kill()
    writer.wait()
    # Killed as it was: what it acknowledged is in its log, and in the next snapshot.
    check(len(rows_of(database.server.save())) >= acknowledged())
    equal(len(database.server.names()), 4)
    equal(database.files(), sorted(database.server.names()), "and nothing else")


def test_a_server_beside_it_takes_snapshots_on_schedule(bench):
    database = Database(bench)
    database.writer()
    database.start("--etcd-snapshot-schedule-cron=@every 2s", "--etcd-snapshot-retention=2")

    def on_disk():
        return sorted(p for p in database.snapshots.glob("etcd-snapshot-*") if p.suffix != ".part")
    first = wait_for(on_disk, "a scheduled snapshot")[0]
    wait_for(lambda: first not in on_disk(), "retention to remove it")
    database.server.stop()
    for snapshot in on_disk():
        rows = rows_of(snapshot)
        equal([row[0] for row in rows], list(range(1, len(rows) + 1)))


def test_a_restore_brings_back_exactly_the_snapshots_point(bench):
    database = Database(bench, [("/a", b"one"), ("/b", b"two"), ("/a", b"three"), ("/c", b"x"), ("/c", b"", 1)])
    for flags in ([], ["--etcd-snapshot-compression=zstd"], ["--snapshot-compress"]):
        before = database.rows()
        database.start()
        snapshot = database.server.save(*flags)
        names = database.server.names()
        database.server.stop()
        os.chmod(database.path, 0o640)
        with database.open() as db:
            db.execute("delete from kine where name = '/a'")
            database.put(db, "/later", b"y")
        refused = database.restore(snapshot)
        check(refused.code != 0, refused)
        contains(refused.err, "is not empty")
        restored = database.restore(snapshot, "--clean")
        equal(restored.code, 0, restored)
        equal(database.rows(), before, "rows after the restore")
        equal(database.path.stat().st_mode & 0o777, 0o640)
        old = sorted(database.path.parent.glob("state.db-old-*"))[-1]
        check(b"/later" in [row[1] for row in rows_of(old)], "the old database is not kept")
        equal(database.files(), sorted(names), "no snapshot of what is kept anyway")


def test_a_database_that_is_gone_or_damaged_is_restored(bench):
    database = Database(bench, [("/a", b"one")]).start()
    before, snapshot = database.rows(), database.server.save()
    shutil.rmtree(database.path.parent)
    failed = database.server.snapshot("save")
    equal(failed.code, 1, failed)
    contains(failed.err, f"there is no {database.path}")
    restored = database.restore(snapshot)
    equal(restored.code, 0, restored)
    equal(database.rows(), before)
    equal(database.path.parent.stat().st_mode & 0o777, 0o700)
    database.path.write_bytes(b"not a database" * 1000)
    failed = database.server.snapshot("save")
    equal(failed.code, 3, failed)
    contains(failed.err, "file is not a database")
    restored = database.restore(snapshot, "--clean")
    equal(restored.code, 0, restored)
    equal(database.rows(), before)
    equal(database.files(), [snapshot.name])
    equal([p.name for p in database.path.parent.iterdir() if p.name.endswith(("-wal", "-shm"))], [], "what looking left")
    # And by cp alone.
    shutil.copy(snapshot, bench.dir / "by-hand.db")
    equal(rows_of(bench.dir / "by-hand.db"), before)


def test_a_restore_that_does_not_happen_leaves_all_as_it_was(bench):
    database = Database(bench, [(f"/k{n}", b"x" * 2000) for n in range(500)]).start()
    snapshot = database.server.save()
    database.server.stop()

    def everything():
        return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in database.path.parent.iterdir()}
    before = everything()
    dry = database.restore(snapshot, "--clean", "--dry-run")
    equal(dry.code, 0, dry)
    contains(dry.err, "is replaced in one step")
    equal(everything(), before)
    unasked = database.server.holdfast("restore", snapshot, database.endpoint, f"--etcd-snapshot-dir={database.snapshots}", "--clean")
    equal(unasked.code, 1, unasked)
    contains(unasked.err, "Give --yes")
    equal(everything(), before)
    # Damaged: with its metadata the digest tells, without them the structure.
    content = bytearray(snapshot.read_bytes())
    content[len(content) // 2] ^= 0x10
    snapshot.write_bytes(content)
    damaged = database.restore(snapshot, "--clean")
    equal(damaged.code, 3, damaged)
    content[len(content) // 2:] = bytes(len(content) - len(content) // 2)
    (bench.dir / "foreign.db").write_bytes(content)
    damaged = database.restore(bench.dir / "foreign.db", "--clean")
    equal(damaged.code, 3, damaged)
    contains(damaged.err, "integrity check")
    equal(everything(), before)


def test_a_restore_can_be_stopped_until_its_last_step(bench):
    database = Database(bench)
    with database.open() as db:
        # The check of four indexes takes much longer than the reading of the file.
        db.execute("create table t(a, b, c, d)")
        db.execute("with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000) insert into t "
                   "select abs(random()), hex(randomblob(16)), abs(random()), hex(randomblob(16)) from n")
        for column in "abcd":
            db.execute(f"create index i{column} on t({column})")
    database.start()
    snapshot = database.server.save()
    database.server.stop()
    restore = [BIN, "restore", snapshot, database.endpoint, f"--etcd-snapshot-dir={database.snapshots}", "--clean"]
    before, part = database.path.stat(), database.path.with_name("state.db.part")

    def unchanged():
        equal([p.name for p in database.path.parent.iterdir()], ["state.db"])
        equal(database.path.stat().st_mtime_ns, before.st_mtime_ns)
    checking = bench.spawn([*restore, "--yes"], "checking.log", env=database.server.env)
    wait_for(lambda: part.exists() and part.stat().st_size == snapshot.stat().st_size, "all bytes to come")
    checking.send_signal(signal.SIGINT)
    equal(checking.wait(60), 1)
    contains((bench.dir / "checking.log").read_text(), "stopped")
    unchanged()

    # A person who is asked.
    ours, theirs = pty.openpty()
    asked = subprocess.Popen([str(word) for word in restore], stdin=theirs, stderr=theirs, env={**os.environ, **database.server.env})
    os.close(theirs)
    said = b""
    while b"Type yes" not in said:
        said += os.read(ours, 65536)
    check(part.exists(), "nothing is prepared")
    asked.send_signal(signal.SIGINT)
    equal(asked.wait(60), 1)
    os.close(ours)
    unchanged()


def test_a_restore_is_refused_while_somebody_has_the_database_open(bench):
    database = Database(bench, [("/a", b"one")]).start()
    snapshot = database.server.save()
    writer, _ = database.writer()
    refused = database.restore(snapshot, "--clean")
    check(refused.code != 0, refused)
    contains(refused.err, f"is in use by python3 (pid {writer.pid})")
    contains(refused.err, "Stop it first")
    check(writer.poll() is None and not list(database.path.parent.glob("*-old-*")), "something was changed")
    writer.kill()
    writer.wait()
    equal(database.restore(snapshot, "--clean").code, 0)


def test_a_database_without_rows_and_one_with_odd_names_and_values(bench):
    empty = Database(bench, name="empty.db").start()
    status = empty.status(empty.server.save())
    equal((status["revision"], status["liveKeys"]), (0, 0))
    empty.server.stop()
    rows = [("compact_rev_key", b""), ("/\N{SNOWMAN}", bytes(range(256)) * 3), ("/empty", b""), ("17", b"a number")]
    odd = Database(bench, rows, name="o'dd #1%20.db")
    with odd.open() as db:
        db.execute('create table "drop table kine; --" ("select" blob, "a""b")')
        db.execute('insert into "drop table kine; --" values (?, ?)', (b"\xff\xfe", b"\xff"))
    odd.start()
    snapshot = odd.server.save()
    equal(rows_of(snapshot), odd.rows())
    equal(odd.status(snapshot)["contentHash"], content_hash(odd.rows()))
    with contextlib.closing(sqlite3.connect(f"file:{urllib.parse.quote(str(snapshot))}?immutable=1", uri=True)) as db:
        equal(db.execute('select * from "drop table kine; --"').fetchall(), [(b"\xff\xfe", b"\xff")])


def test_a_database_that_is_not_kines_is_backed_up_all_the_same(bench):
    database = Database(bench)
    with database.open() as db:
        db.executescript("drop table kine; create view kine as select 1 as id; create table t (x); insert into t values (7)")
    database.start()
    snapshot = database.server.save()
    check(not database.status(snapshot).get("contentHash"), "a view is taken for kine's table")
    with database.open() as db:
        db.execute("drop table t")
    equal(database.restore(snapshot, "--clean").code, 0)
    with database.open() as db:
        equal(db.execute("select * from t").fetchall(), [(7,)])


def test_large_values_need_little_memory(bench):
    database = Database(bench)
    value = os.urandom(100_000_000)
    with database.open() as db:
        database.put(db, "/large", value)
        database.put(db, "/large", value[::-1])
    database.start()
    snapshot = database.server.save()
    peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{database.server.process.pid}/status").read_text())[1])
    check(peak < 128 * 1024, f"{peak} KiB")
    equal(database.status(snapshot)["contentHash"], content_hash(database.rows()))


def test_killed_in_the_middle_nothing_half_written_is_listed(bench):
    database = Database(bench)
    with database.open() as db:
        for i in range(100):
            database.put(db, f"/k{i}", os.urandom(1_000_000))
    database.start()
    good = database.server.save()

    def unfinished():
        """Bytes of what is being written."""
        for part in database.snapshots.glob("*.part"):
            with contextlib.suppress(FileNotFoundError):  # finished just now
                return part.stat().st_size
        return -1
    for least in (0, 1_000_000, 50_000_000):
        save = bench.spawn([BIN, "etcd-snapshot", "save"], "save.log", env=database.server.env)
        wait_for(lambda n=least: save.poll() is not None or unfinished() > n, "the snapshot to be written")
        database.server.kill()
        save.wait()
        database.start()
        for name in database.server.names():
            database.status(database.snapshots / name)
        wait_for(lambda: database.files() == sorted(database.server.names()), "the rest to be removed")
    check(good.name in database.server.names(), "the good one is gone")


def test_a_full_disk_is_an_error_and_leaves_nothing(bench):
    database = Database(bench)
    with database.open() as db:
        database.put(db, "/large", os.urandom(6_000_000))
    small = bench.dir / "small"
    small.mkdir()
    if bench.run("mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", small).code != 0:
        raise Skip("needs leave to mount")
    bench.stack.callback(subprocess.run, ["umount", small], check=False)
    database.start(f"--etcd-snapshot-dir={small}")
    failed = database.server.snapshot("save")  # room for one copy, not for two
    equal(failed.code, 1, failed)
    contains(failed.err, "no space for on-demand-")
    with database.open() as db:
        database.put(db, "/larger", os.urandom(6_000_000))
    failed = database.server.snapshot("save")  # not even for one
    equal(failed.code, 1, failed)
    contains(failed.err, "full")
    equal(list(small.iterdir()), [], "what stayed")
    equal(database.server.names(), [])


def test_a_restore_killed_anywhere_leaves_one_whole_database(bench):
    if shutil.which("strace") is None or bench.run("strace", "-f", "-o", "/dev/null", "true").code != 0:
        raise Skip("needs strace, and leave to trace")
    database = Database(bench, [("/a", b"new")]).start()
    new, snapshot = database.rows(), database.server.save()
    database.server.stop()
    with database.open() as db:
        database.put(db, "/a", b"old")
    pristine = database.path.read_bytes()
    old = database.rows()
    seen = set()
    for call in ("pwrite64", "fsync", "fdatasync", "rename", "link", "unlink", "openat"):
        for n in (1, 2, 5, 30):
            for path in database.path.parent.iterdir():
                path.unlink()
            database.path.write_bytes(pristine)
            # Its owner was killed: one row is only in the log.
            leave_log = "import sqlite3, os, sys; c = sqlite3.connect(sys.argv[1]); " \
                "c.execute(\"insert into kine values (9, '/log', 1, 0, 0, 0, 0, x'00', null)\"); c.commit(); os._exit(0)"
            bench.ok("python3", "-c", leave_log, database.path)
            bench.run("strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}",
                      BIN, "restore", snapshot, database.endpoint, f"--etcd-snapshot-dir={database.snapshots}", "--clean", "--yes",
                      env=database.server.env)
            found = database.rows()
            check(found == new or found[:-1] == old and found[-1][0] == 9, f"{call} {n}", found)
            seen.add(found == new)
            if found == new:
                kept = rows_of(next(database.path.parent.glob("state.db-old-*")))
                equal(kept[:-1], old, "the old database")
    equal(seen, {True, False}, "both outcomes were met")


def test_migration_to_another_file_keeps_history_and_content(bench):
    database = Database(bench, [("compact_rev_key", b""), ("/a", b"one"), ("/a", b"two"), ("/b", b"x"), ("/b", b"", 1)])
    target = bench.dir / "copy/state.db"
    result = database.server.holdfast("datastore", "migrate", f"--from=sqlite://{database.path}", f"--to=sqlite://{target}")
    equal(result.code, 0, result)
    equal(rows_of(target), database.rows())
    again = database.server.holdfast("datastore", "migrate", f"--from=sqlite://{database.path}", f"--to=sqlite://{target}")
    check(again.code != 0, again)
    contains(again.err, "holds keys already")
