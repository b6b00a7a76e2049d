"""kill -9 and failing system calls in the middle of restores, saves and removals. strace makes the N-th call of a kind
the last one, or fail; kinds and numbers together are every moment at which the files on disk are in another state."""
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess

from harness import BIN, Skip, check, contains, equal, tree, wait_for
from probe import wait_for_new_etcd
from reset_test import ca_of, db_names, failing_etcd, keys_of

KILL = "signal=KILL"
CAS = ("client-ca", "server-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca")


def strace(effect, call, n, *argv):
    """The command under strace: the n-th `call` of a thread has this effect. Children that exec (etcd) run free."""
    return ["strace", "-f", "-b", "execve", "-o", "/dev/null", "-e", f"trace={call}",
            "-e", f"inject={call}:{effect}:when={n}", *argv]


def need_strace(bench):
    if shutil.which("strace") is None or bench.run("strace", "-f", "-o", "/dev/null", "true").code != 0:
        raise Skip("needs strace, and leave to trace")


class Bed:
    """A stopped server that can be put back to what it was, and a snapshot to restore on it. The server holds `old`; a
    restore brings `new`, with the certificates `new_cas`. foreign: it is another cluster's, whose certificates were
    made an hour "before" or "after" ours."""

    def __init__(self, bench, foreign=None, fresh=False):
        need_strace(bench)
        self.bench = bench
        token = "--token=shared"  # of both clusters, so that a start needs nobody to say which one it is now
        origin = bench.server("origin" if foreign or fresh else "data")
        if foreign:
            maker = bench.server("maker").start(token).stop()
            shutil.copytree(maker.server_dir / "tls", origin.server_dir / "tls")
            for path in origin.server_dir.rglob("*"):
                when = path.stat().st_mtime + {"before": -3600, "after": 3600}[foreign]
                os.utime(path, (when, when))
        origin.start(token)
        origin.fill(20)
        self.new, self.new_cas = keys_of(origin.dump()), self.cas(origin)
        self.snapshot = bench.dir / "snapshot"
        shutil.copy(origin.save(), self.snapshot)
        origin.etcdctl("put", "/later", "x")
        self.old, self.old_cas, self.old_id = keys_of(origin.dump()), self.new_cas, origin.cluster_id()
        origin.stop()
        self.server = origin
        self.flags = []
        if foreign:
            self.server = bench.server("data").start(token)
            self.server.fill(3, prefix="/other/")
            self.old, self.old_cas, self.old_id = keys_of(self.server.dump()), self.cas(self.server), self.server.cluster_id()
            self.server.stop()
        if fresh:
            self.server, self.flags = bench.server("data"), [token]
            self.old, self.old_cas, self.old_id = None, None, None
        self.pristine = bench.dir / "pristine"
        if not fresh:
            self.shrink()
            shutil.copytree(self.server.data_dir, self.pristine, symlinks=True)

    @staticmethod
    def cas(server):
        return {ca: ca_of(server, ca) for ca in CAS}

    def shrink(self):
        """The zeros that etcd reserves in its WAL need not be copied each time."""
        for path in (self.server.db / "etcd/member/wal").iterdir():
            content = path.read_bytes().rstrip(b"\0")
            path.unlink() if path.suffix == ".tmp" else path.write_bytes(content + b"\0" * (4096 - len(content) % 4096))

    def check_fence(self):
        """The server that runs now has the cluster id of before, or remembers it."""
        now, former = self.server.cluster_id(), self.server.former_ids()
        check(self.old_id in (None, now, *former), "cluster", now, "has forgotten", self.old_id, former)

    def put_back(self):
        shutil.rmtree(self.server.data_dir, ignore_errors=True)
        if self.pristine.exists():
            shutil.copytree(self.pristine, self.server.data_dir, symlinks=True)
        self.before = self.state()

    def state(self):
        return {path: what for path, what in tree(self.server.server_dir).items() if path != "lock"}

    def restore_args(self, *flags):
        return self.server.server_args("--cluster-reset", f"--cluster-reset-restore-path={self.snapshot}", *self.flags,
                                       *flags)

    def run(self, *argv):
        return self.bench.run(*argv, env=self.server.env)

    def injured_restore(self, effect, call, n, *flags):
        """A restore with the n-th call killed or failing; then nobody of it runs any more."""
        result = self.run(*strace(effect, call, n, *self.restore_args(*flags)))
        wait_for(lambda: not self.server.etcd_pids(), "etcd to end with its server")
        return result

    def restore(self):
        result = self.run(*self.restore_args())
        check(result.code == 0, "the repeated restore failed", result)

    def check_serves(self, *allowed):
        """A normal start serves exactly the old or exactly the restored data, with the certificates of these."""
        server = self.server
        server.start(*self.flags)
        found = keys_of(server.dump())
        which = "old" if found == self.old else "new" if found == self.new else None
        check(which in allowed, "serves", which or found, "expected one of", allowed)
        equal(self.cas(server), self.old_cas if which == "old" else self.new_cas, "certificates of the", which, "data")
        self.check_fence()
        server.etcdctl("put", "/written-after", "x")
        server.stop()
        equal(db_names(server, "etcd-new"), [])
        check(not (server.db / "reset-flag").exists(), "reset-flag is still there")
        leftovers = [str(p) for p in server.server_dir.rglob("*.part") if "etcd-old-" not in str(p)]
        equal(leftovers, [], "leftovers")
        return which


def kill_everywhere(bed, call, first=1, last=1000, step=1, serves=("old", "new"), flags=()):
    """Kills at every step-th of the calls until the command is through. In turns, what follows is a normal start, or
    the same restore again. Returns what the normal starts served."""
    served = []
    for turn, n in enumerate(range(first, last, step)):
        bed.put_back()
        result = bed.injured_restore(KILL, call, n, *flags)
        if result.code != -signal.SIGKILL:
            if not flags:
                equal(result.code, 0, call, n, result)
            check(turn > 0, "nothing was killed: no", call, n)
            return served
        try:
            if turn % 2 == 0:
                served.append(bed.check_serves(*serves))
            bed.restore()
            if turn % 2 == 1:
                bed.check_serves("new")
        except AssertionError as error:
            raise AssertionError(f"killed at {call} {n}: {error}") from error
    return served


# --- a restore of the cluster's own snapshot ---

def test_kill_a_restore_while_it_builds(bench):
    bed = Bed(bench)
    equal(set(kill_everywhere(bed, "mkdir")), {"old"})
    # Also the file system's own moments: the database half-written, its digest cut off, the WAL reserved and empty.
    equal(set(kill_everywhere(bed, "ftruncate,fallocate", first=1, last=3)), {"old"})
    equal(set(kill_everywhere(bed, "pwrite64", first=4, last=9, step=1)), {"old"})


def test_kill_a_restore_at_every_rename(bench):
    bed = Bed(bench)
    served = kill_everywhere(bed, "rename")
    equal(served[0], "old")
    equal(served[-1], "new")


def test_kill_a_restore_while_it_swaps_and_after(bench):
    bed = Bed(bench)
    # Each moment of the swap, followed by a normal start, and by the same restore.
    for call, n, serves in (("renameat2", 1, "old"), ("renameat2", 2, "new"), ("unlink", 1, "new")):
        for again in (False, True):
            bed.put_back()
            result = bed.injured_restore(KILL, call, n)
            equal(result.code, -signal.SIGKILL, call, n, result)
            if again:
                bed.restore()
            equal(bed.check_serves("old", "new"), "new" if again else serves, "killed at", call, n)
            olds = db_names(bed.server, "etcd-old-")
            equal(len(olds), (serves == "new") + again, olds)


def test_kill_a_restore_while_files_are_made(bench):
    bed = Bed(bench)
    kill_everywhere(bed, "fchmod", step=1)


# --- another cluster's snapshot: certificates change too ---

def test_kill_a_restore_while_certificates_are_written(bench):
    bed = Bed(bench, foreign="before")
    served = kill_everywhere(bed, "rename", first=3, step=2)
    check("old" in served and "new" in served, served)


def test_kill_a_restore_while_certificates_are_copied(bench):
    bed = Bed(bench, foreign="after")
    kill_everywhere(bed, "fchmod", first=7, step=4)
    kill_everywhere(bed, "utimensat", first=2, step=5)


def test_kill_a_restore_that_is_being_undone(bench):
    bed = Bed(bench, foreign="after")
    broken = "--etcd-binary=" + str(failing_etcd(bench, bed.server.etcd_dir, "ending-etcd", "exit 7"))
    total = counted(bed, "rename", broken)
    kill_everywhere(bed, "rename", first=total // 2, step=3, flags=[broken])
    kill_everywhere(bed, "renameat2", first=3, flags=[broken])
    kill_everywhere(bed, "unlink", flags=[broken], last=3)


def test_a_second_restore_that_fails_does_not_forget_the_first(bench):
    """The first was killed before it wrote the certificates; the second is undone; then the first must be finished."""
    bed = Bed(bench, foreign="before")
    bed.put_back()
    equal(bed.injured_restore(KILL, "renameat2", 2).code, -signal.SIGKILL)
    broken = "--etcd-binary=" + str(failing_etcd(bench, bed.server.etcd_dir, "ending-etcd", "exit 7"))
    failed = bed.run(*bed.restore_args(broken))
    equal(failed.code, 1, failed)
    contains(failed.err, "The data and certificates from before are in place again")
    equal(bed.check_serves("new"), "new")


def counted(bed, call, *flags, argv=None):
    """How many of these calls the restore (or argv) makes on its main thread."""
    bed.put_back()
    log = bed.bench.dir / "calls"
    bed.run("strace", "-f", "-b", "execve", "-o", log, "-e", f"trace={call}", *(argv or bed.restore_args(*flags)))
    threads = re.findall(rf"^(\d+) +{call}\(", log.read_text(), re.M)
    return max((threads.count(t) for t in set(threads)), default=0)


# --- a reset that keeps the data ---

def injured_reset(bed, effect, call, n):
    result = bed.run(*strace(effect, call, n, *bed.server.server_args("--cluster-reset")))
    wait_for(lambda: not bed.server.etcd_pids(), "etcd to end with its server")
    return result


def kill_a_plain_reset(bed, call, first=1, step=1):
    """Kills at every step-th of the calls until the reset is through. In turns, what follows is a normal start, or the
    same reset again. Both serve the data, of the old cluster or of one that remembers it."""
    for turn, n in enumerate(range(first, 1000, step)):
        bed.put_back()
        result = injured_reset(bed, KILL, call, n)
        if result.code == 0:
            check(turn > 0, "nothing was killed: no", call, n)
            return
        equal(result.code, -signal.SIGKILL, call, n, result)
        try:
            if turn % 2 == 1 and not (bed.server.db / "reset-flag").exists():
                again = bed.server.reset()
                equal(again.code, 0, again)
            bed.check_serves("old")
        except AssertionError as error:
            raise AssertionError(f"killed at {call} {n}: {error}") from error


def test_kill_a_plain_reset_at_every_rename(bench):
    bed = Bed(bench)
    kill_a_plain_reset(bed, "rename")
    kill_a_plain_reset(bed, "renameat2")


def test_kill_a_plain_reset_while_it_builds(bench):
    bed = Bed(bench)
    kill_a_plain_reset(bed, "mkdir", first=2, step=2)
    kill_a_plain_reset(bed, "unlink,rmdir", step=2)
    kill_a_plain_reset(bed, "fchmod,ftruncate,fallocate", first=3, step=4)


def test_a_plain_reset_that_cannot_write(bench):
    """It leaves all as it was, or is done."""
    bed = Bed(bench)
    for call, error, step in (("fsync", "EIO", 4), ("pwrite64", "ENOSPC", 4), ("mkdir", "ENOSPC", 3), ("rename", "EIO", 2),
                              ("renameat2", "EIO", 1), ("unlink", "EIO", 3)):
        for n in range(1, counted(bed, call, argv=bed.server.server_args("--cluster-reset")) + 1, step):
            bed.put_back()
            result = injured_reset(bed, f"error={error}", call, n)
            where = f"{call} {n} failed with {error}"
            check(result.code in (0, 1, 3), where, result)
            check((result.code != 0) == ("Error: " in result.err), where, result)
            equal(db_names(bed.server, "etcd-new"), [], where)
            try:
                bed.check_serves("old")
            except AssertionError as failure:
                raise AssertionError(f"{where}: {failure}\n{result}") from failure


def test_a_plain_reset_finishes_a_restore_that_was_killed(bench):
    bed = Bed(bench, foreign="before")
    for n in (1, 2):
        bed.put_back()
        equal(bed.injured_restore(KILL, "rename", 5 if n == 1 else 9).code, -signal.SIGKILL)
        result = bed.server.reset()
        equal(result.code, 0, result)
        bed.check_serves("new")


# --- a host that has nothing yet ---

def test_kill_the_first_restore_of_a_new_host(bench):
    bed = Bed(bench, fresh=True)
    for call, n in (("mkdir", 8), ("rename", 1), ("fallocate", 1), ("rename", 3), ("renameat2", 1), ("rename", 5),
                    ("rename", 20), ("unlink", 1)):
        for again in (False, True):
            bed.put_back()
            result = bed.injured_restore(KILL, call, n)
            equal(result.code, -signal.SIGKILL, call, n, result)
            if again:
                bed.restore()
            elif not (bed.server.db / "etcd").exists() and db_names(bed.server, "etcd-new"):
                # Half of the data came: an empty cluster is not what anybody wants, unless the data were complete.
                markers = bed.server.db.glob("etcd-new-*/restore.json")
                complete = [p for p in markers if json.loads(p.read_text())["complete"]]
                if not complete and list(bed.server.db.glob("etcd-new-*/*")):
                    refused = bed.run(*bed.server.server_args(*bed.flags))
                    equal(refused.code, 1, call, n, refused)
                    contains(refused.err, "starting now would begin an empty cluster")
                    contains(refused.err, "A restore was interrupted: run it again")
                    bed.restore()
                elif not complete:
                    bed.restore()
            bed.check_serves("new")


def test_without_the_token_an_unfinished_restore_says_which_is_needed(bench):
    bed = Bed(bench, fresh=True)
    equal(bed.injured_restore(KILL, "rename", 5).code, -signal.SIGKILL)
    result = bed.run(*bed.server.server_args())
    equal(result.code, 4, result)
    needed = hashlib.sha256(b"shared").hexdigest()[:12]
    contains(result.err, f"needs the token with the hash {needed}, no token was given")
    contains(result.err, "Give the server token of the time with --token or --token-file")
    bed.check_serves("new")


def test_kill_the_first_restore_of_a_plain_etcd_snapshot(bench):
    """It has no certificates: they are made, for the first time, in the middle of the restore."""
    need_strace(bench)
    snapshot = bench.sample_snapshot(20)
    for n in (4, 5, 6, 7, 14):
        server = bench.server(f"data-{n}")
        argv = server.server_args("--cluster-reset", f"--cluster-reset-restore-path={snapshot}", "--token=shared")
        equal(bench.run(*strace(KILL, "rename", n, *argv), env=server.env).code, -signal.SIGKILL, n)
        wait_for(lambda: not server.etcd_pids(), "etcd to end with its server")
        server.start("--token=shared")
        equal(len(keys_of(server.dump())), 19)
        server.stop()


# --- holdfast restore ---

def test_kill_a_native_restore(bench):
    """What is left has no WAL, or is whole; the command can be run again once it is removed, as it says."""
    need_strace(bench)
    snapshot = bench.sample_snapshot(20)
    argv = [BIN, "restore", snapshot, "--data-dir", bench.dir / "data"]
    whole = None
    for call in ("mkdir", "fchmod", "ftruncate", "fallocate", "pwrite64"):
        for n in range(1, 20):
            result = bench.run(*strace(KILL, call, n, *argv))
            if result.code != -signal.SIGKILL:
                equal(result.code, 0, result)
                break
            check((bench.dir / "data").exists() or (call, n) == ("mkdir", 1), call, n)
            if list((bench.dir / "data").glob("member/wal/*")):
                database = (bench.dir / "data/member/snap/db").read_bytes()
                check(whole is None or database == whole, call, n, "a WAL beside half a database")
            if list((bench.dir / "data").glob("*")):
                again = bench.run(*argv)
                equal(again.code, 1, again)
                contains(again.err, f"data-dir {bench.dir}/data is not empty")
            shutil.rmtree(bench.dir / "data", ignore_errors=True)
        check(n > 1, "nothing was killed at", call)
        whole = (bench.dir / "data/member/snap/db").read_bytes()
        shutil.rmtree(bench.dir / "data")


def test_restores_that_are_stopped_leave_nothing(bench):
    """Ctrl-C and systemd's SIGTERM, in the middle of the copy."""
    bed = Bed(bench)
    for sig in ("INT", "TERM"):
        for call, n in (("mkdir", 2), ("pwrite64", 4), ("ftruncate", 2), ("renameat2", 1), ("rename", 4)):
            bed.put_back()
            result = bed.injured_restore(f"signal={sig}", call, n)
            # Late enough, it is through before it notices.
            if result.code == 0:
                bed.check_serves("new")
                continue
            equal(result.code, 1, result)
            contains(result.err, "topped")
            equal(bed.state(), bed.before, sig, call, n)
    data = bench.dir / "native"
    result = bench.run(*strace("signal=INT", "mkdir", 2, BIN, "restore", bed.snapshot, "--data-dir", data))
    check(result.code == 0 or not data.exists(), result)


# --- calls that fail ---

def fail_everywhere(bed, call, error, first=1, last=1000, step=1):
    """As kill_everywhere, but the call fails. A restore that failed has left all as it was, or can be finished."""
    for n in range(first, last, step):
        bed.put_back()
        result = bed.injured_restore(f"error={error}", call, n)
        after = bed.state()
        where = f"{call} {n} failed with {error}"
        if result.code == 0 and after != bed.before and count_reached(bed, call, n):
            return n
        check(result.code not in (0, 6) and result.code > 0, where, result)
        contains(result.err, "Error: ")
        equal(db_names(bed.server, "etcd-new"), [], where)
        if after != bed.before:
            # Untouched files need no proof that they still serve.
            try:
                bed.check_serves("old", "new")
            except AssertionError as failure:
                raise AssertionError(f"{where}: {failure}\n{result}") from failure
    return last


def count_reached(bed, call, n):
    if not hasattr(bed, "counts"):
        bed.counts = {}
    if call not in bed.counts:
        state = bed.bench.dir / "counted"
        shutil.move(bed.server.data_dir, state)
        bed.counts[call] = counted(bed, call)
        shutil.rmtree(bed.server.data_dir)
        shutil.move(state, bed.server.data_dir)
    return n > bed.counts[call]


def test_a_disk_that_fails_to_sync(bench):
    bed = Bed(bench)
    fail_everywhere(bed, "fsync", "EIO", step=2)
    fail_everywhere(bed, "fsync", "EIO", first=16, step=2)


def test_a_disk_that_is_full_while_writing(bench):
    bed = Bed(bench)
    fail_everywhere(bed, "pwrite64", "ENOSPC")
    fail_everywhere(bed, "fallocate", "ENOSPC")
    fail_everywhere(bed, "mkdir", "ENOSPC")


def test_renames_that_fail(bench):
    bed = Bed(bench)
    fail_everywhere(bed, "rename", "EIO")
    fail_everywhere(bed, "renameat2", "EIO")
    fail_everywhere(bed, "unlink", "EIO")


def test_a_file_system_without_exchange(bench):
    """Older kernels and some network file systems cannot swap two names in one step."""
    bed = Bed(bench)
    for error in ("EINVAL", "ENOSYS"):
        bed.put_back()
        result = bed.injured_restore(f"error={error}", "renameat2", "1..1")
        equal(result.code, 0, result)
        bed.check_serves("new")
    # Not even renaming without replacing: every call of this kind fails.
    bed.put_back()
    equal(bed.injured_restore("error=EINVAL", "renameat2", "1+").code, 0)
    bed.check_serves("new")


def test_certificates_that_cannot_be_written_bring_the_old_data_back(bench):
    bed = Bed(bench, foreign="before")
    for call, error, n in (("rename", "EIO", 5), ("pwrite64", "ENOSPC", 12), ("fsync", "EIO", 30)):
        bed.put_back()
        result = bed.injured_restore(f"error={error}", call, n)
        equal(result.code in (1, 3), True, result)
        contains(result.err, "The data and certificates from before are in place again; nothing is lost.")
        equal(bed.check_serves("old"), "old")
        bed.restore()
        bed.check_serves("new")
    # The disk stays full: then nothing can be put back either, and the message says where everything is.
    bed.put_back()
    result = bed.injured_restore("error=ENOSPC", "pwrite64", "12+")
    check(result.code == 1, result)
    contains(result.err, "Putting the previous state back failed too")
    bed.check_serves("old", "new")


# --- a running server that is killed while it saves ---

def injured_save(server, effect, call, n, *flags):
    """A save by a running server, whose n-th call of a thread from now on is killed or fails."""
    tracer = subprocess.Popen(strace(effect, call, n, "-p", str(server.process.pid)), stderr=subprocess.PIPE, text=True)
    contains(tracer.stderr.readline(), "attached")
    server.bench.stack.callback(tracer.kill)  # a server whose tracer hangs could not be ended
    result = server.snapshot("save", *flags)
    if effect != KILL:
        tracer.send_signal(signal.SIGINT)
    tracer.communicate(timeout=60)
    return result


class SlowSave:
    """A save that is held up at its first write until it is let go."""

    def __init__(self, server):
        self.server = server
        self.tracer = subprocess.Popen(strace("delay_enter=100000000", "pwrite64", 1, "-p", str(server.process.pid)),
                                       stderr=subprocess.PIPE, text=True)
        server.bench.stack.callback(self.tracer.kill)
        contains(self.tracer.stderr.readline(), "attached")
        self.log = server.bench.dir / "slow-save.log"
        self.log.write_text("")
        self.process = server.bench.spawn([server.program, "etcd-snapshot", "save"], self.log.name, env=server.env)
        wait_for(lambda: list(server.snapshots.glob("*.part")), "the save to begin")

    def let_go(self):
        self.tracer.kill()
        self.tracer.communicate()

    def result(self):
        return self.process.wait(60), self.log.read_text()


def check_snapshots_are_whole(server):
    for name in server.names():
        status = server.snapshot("status", server.snapshots / name)
        check(status.code == 0, "a snapshot that is listed is not whole:", name, status)


def kill_saves(bench, moments, *flags):
    need_strace(bench)
    server = bench.server().start()
    server.fill(300, value_size=10000)  # several blocks
    saves = 0
    for call, n in moments:
        result = injured_save(server, KILL, call, n, *flags)
        check(result.code != 0, call, n, "the save of a killed server succeeded", result)
        equal(server.process.wait(30), -signal.SIGKILL, call, n)
        wait_for(lambda: not server.etcd_pids(), "etcd to end with its server")
        check_snapshots_are_whole(server)
        saves = max(saves, len(server.names()))
        server.start()
        wait_for(lambda: not list(server.db.rglob("*.part")), "leftovers to be removed")
        check_snapshots_are_whole(server)
    server.save(*flags)
    check_snapshots_are_whole(server)
    server.stop()


def test_kill_a_server_while_it_saves(bench):
    kill_saves(bench, [("fchmod", 1), ("pwrite64", 1), ("pwrite64", 3), ("fsync", 1), ("fsync", 2), ("renameat2", 1),
                       ("mkdir", 1), ("fsync", 3), ("fchmod", 2), ("rename", 1), ("fsync", 4)])


def test_kill_a_server_while_it_saves_compressed(bench):
    kill_saves(bench, [("pwrite64", 1), ("renameat2", 1)], "--snapshot-compress")


def test_saves_that_fail_leave_nothing_half(bench):
    need_strace(bench)
    server = bench.server().start()
    server.fill(300, value_size=10000)
    for call, error, n in (("pwrite64", "ENOSPC", 2), ("fsync", "EIO", 1), ("renameat2", "EIO", 1),
                           ("fchmod", "EIO", 1)):
        before = server.names()
        result = injured_save(server, f"error={error}", call, n)
        check(result.code not in (0, 5), call, error, result)
        contains(result.err, {"ENOSPC": "no space left on device", "EIO": "input/output error"}[error])
        equal(server.names(), before, call, error)
        equal([p.name for p in server.snapshots.iterdir() if p.suffix == ".part"], [], call, error)
    # Only what is known of it cannot be written: the snapshot counts all the same, and the log says so.
    result = injured_save(server, "error=EIO", "rename", 1)
    equal(result.code, 0, result)
    contains(server.log_text(), "its metadata could not be written")
    check_snapshots_are_whole(server)
    equal(len(server.names()), 1)
    server.stop()


def test_what_happens_during_a_save(bench):
    need_strace(bench)
    server = bench.server().start()
    server.fill(3000, value_size=10000)  # more than fits into the buffers between etcd and the disk
    save = SlowSave(server)
    equal(server.names(), [], "what is being written is not listed")
    second = server.snapshot("save")
    equal(second.code, 6, second)
    contains(second.err, "snapshot save already in progress")
    equal(server.snapshot("prune").code, 0, "others go on meanwhile")
    save.let_go()
    code, text = save.result()
    equal(code, 0, text)
    equal(len(server.names()), 1)

    # etcd dies in the middle: the save fails, etcd comes back, the next save is fine.
    save = SlowSave(server)
    for pid in server.etcd_pids():
        os.kill(pid, signal.SIGKILL)
    save.let_go()
    code, text = save.result()
    check(code not in (0, 2, 6), code, text)
    contains(text, "Error: ")
    equal(list(server.snapshots.glob("*.part")), [])
    equal(len(server.names()), 1)
    wait_for_new_etcd(server)

    # The server is told to end in the middle: it does, and leaves nothing half.
    save = SlowSave(server)
    server.process.send_signal(signal.SIGTERM)
    save.let_go()
    code, text = save.result()
    check(code != 0, "the save of a server that ended succeeded", text)
    equal(server.process.wait(60), 0)
    equal(list(server.snapshots.glob("*.part")), [])
    check_snapshots_are_whole(server)
    server.start()
    server.save()
    check_snapshots_are_whole(server)
    server.stop()


def test_an_etcd_behind_a_script_ends_with_its_server(bench):
    script = bench.dir / "etcd-script"
    server = bench.server()
    script.write_text(f'#!/bin/sh\n{server.etcd_dir}/etcd "$@"\n')  # no exec: etcd is the script's child
    script.chmod(0o755)
    server.start(f"--etcd-binary={script}")
    server.fill(5)
    before = server.dump()
    snapshot = server.save()
    server.stop()
    equal(server.etcd_pids(), [])
    result = server.restore(snapshot, f"--etcd-binary={script}")
    equal(result.code, 0, result)
    equal(server.etcd_pids(), [])
    server.start()
    equal(server.dump(), before)
    server.stop()


# --- removals ---

def removal_bed(bench):
    need_strace(bench)
    server = bench.server().start()
    server.fill(10)
    names = [server.save().name for _ in range(4)]
    server.stop()
    pristine = bench.dir / "pristine"
    shutil.copytree(server.db, pristine, ignore=shutil.ignore_patterns("etcd"))

    def put_back():
        for name in ("snapshots", ".metadata"):
            shutil.rmtree(server.db / name)
            shutil.copytree(pristine / name, server.db / name)
    return server, names, put_back


def injured(server, effect, call, n, *argv):
    return server.bench.run(*strace(effect, call, n, server.program, "etcd-snapshot", *argv), env=server.env)


def test_kill_a_prune_and_a_delete(bench):
    server, names, put_back = removal_bed(bench)
    for argv, left in ((["prune", "--snapshot-retention=1"], names[3:]), (["delete", *names[:2]], names[2:])):
        for call in ("unlink", "fsync"):
            for n in range(1, 100):
                put_back()
                result = injured(server, KILL, call, n, *argv)
                listed = server.names()
                if result.code != -signal.SIGKILL:
                    equal(result.code, 0, result)
                    equal(listed, left)
                    check(n > 2, "nothing was killed")
                    break
                equal(listed, [name for name in names if name in listed], "only the oldest go, in order")
                check(set(left) <= set(listed), "killed at", call, n, "lost", left)
                check_snapshots_are_whole(server)
                again = server.snapshot(*argv)
                equal(again.code, 0, again)
                equal(server.names(), left, "after it was repeated")


def test_removals_that_fail_say_so(bench):
    server, names, put_back = removal_bed(bench)
    for argv in (["prune", "--snapshot-retention=1"], ["delete", *names[:2]]):
        for call, n in (("unlink", 1), ("unlink", 2), ("unlink", 3), ("fsync", 1)):
            put_back()
            result = injured(server, "error=EIO", call, n, *argv)
            check(result.code > 0, argv, call, n, result)
            contains(result.err, "input/output error")
            gone = [name for name in names if name not in server.names()]
            for name in re.findall(r"Snapshot (\S+) deleted", result.err):
                check(name in gone, name, "is said to be deleted", result)
            check_snapshots_are_whole(server)


# --- the first start of a server ---

def test_kill_the_first_start(bench):
    need_strace(bench)
    for call, first, step in (("rename", 2, 2), ("mkdir", 1, 1)):  # before each certificate, whose key is there already
        for n in range(first, 60, step):
            server = bench.server(f"{call}-{n}")
            log = f"strace-{call}-{n}.log"
            tracer = bench.spawn(strace(KILL, call, n, *server.server_args()), log, env=server.env)
            wait_for(lambda: tracer.poll() is not None or server.get("/readyz")[0] == 200, "it to die or to be ready")
            if tracer.poll() is None:
                os.kill(int((server.server_dir / "lock").read_text()), signal.SIGTERM)
                tracer.wait(30)
                check(n > 3, "nothing was killed")
                break
            wait_for(lambda: not server.etcd_pids(), "etcd to end with its server")
            try:
                server.start()
                server.save()
                server.stop()
            except AssertionError as error:
                raise AssertionError(f"killed at {call} {n}: {error}\n{server.log_text()}") from error
            shutil.rmtree(server.data_dir)
