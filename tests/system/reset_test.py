"""`server --cluster-reset`, with and without a snapshot: everything is verified before anything is touched, and what
cannot be finished is put back."""
import base64
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import zipfile

from harness import BIN, BareEtcd, Skip, check, contains, equal, etcd_versions, tree, wait_for

EXIT_FAILED, EXIT_USAGE, EXIT_DAMAGED, EXIT_WRONG_TOKEN, EXIT_BUSY = 1, 2, 3, 4, 6
RESET_DONE = ("Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. Backup and "
              "delete ${datadir}/server/db on each peer etcd server and rejoin the nodes")


def state(server):
    """All files of the server but the lock, which names the last process."""
    return {path: what for path, what in tree(server.server_dir).items() if path != "lock"}


def ca_of(server, name="server-ca"):
    return (server.server_dir / f"tls/{name}.crt").read_bytes()


def db_names(server, prefix=""):
    return sorted(p.name for p in server.db.iterdir() if p.name.startswith(prefix))


def server_with_snapshot(bench, name="data", keys=30, flags=(), **options):
    """A stopped server, a snapshot of it, and what it held then; it has more by now."""
    server = bench.server(name, **options).start(*flags)
    server.fill(keys)
    server.saved, server.saved_revision = server.dump(), server.revision()
    server.snapshot_path = server.save()
    server.etcdctl("put", "/later", "x")
    server.now = server.dump()
    server.stop()
    return server


def keys_of(dump):
    """Without the bootstrap data, which a start may bring up to date."""
    return {key: value for key, value in dump.items() if not base64.b64decode(key).startswith(b"/bootstrap/")}


def starts_with(server, expected, *flags):
    """A normal start serves exactly these keys, and can be written to."""
    server.start(*flags)
    equal(keys_of(server.dump()), keys_of(expected))
    equal(len(server.dump()), len(keys_of(expected)) + 1, "keys, with one set of bootstrap data")
    server.etcdctl("put", "/written-after", "x")
    server.etcdctl("del", "/written-after")
    equal(len(json.loads(server.etcdctl("member", "list", "-w", "json"))["members"]), 1)
    check(not db_names(server, "etcd-new"), db_names(server))
    check(not (server.db / "reset-flag").exists(), "reset-flag is still there")
    server.stop()


def run_normally(server, *flags):
    """A start that is expected to end by itself."""
    return server.bench.run(*server.server_args(*flags), env=server.env)


def failing_etcd(bench, etcd_dir, name, script):
    """An etcd that does `script` instead of running; its version it still tells."""
    path = bench.dir / name
    path.write_text(f'#!/bin/sh\ncase "$*" in *--version*) exec {etcd_dir}/etcd --version;; esac\n{script}\n')
    path.chmod(0o755)
    return path


def mounted(bench, name, options):
    """A tmpfs, or a skip where that is not allowed."""
    path = bench.dir / name
    path.mkdir()
    if bench.run("mount", "-t", "tmpfs", "-o", options, "tmpfs", path).code != 0:
        raise Skip("needs root to mount")
    bench.stack.callback(subprocess.run, ["umount", "-l", str(path)], check=False, capture_output=True)
    return path


# --- snapshots that are not good ---

def test_a_bad_snapshot_changes_nothing(bench):
    server = server_with_snapshot(bench)
    good = server.snapshot_path.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 4
    digest = bytearray(good)
    digest[-1] ^= 1
    bad = bench.dir / "bad"
    wrong_digest, no_digest = "expected sha256 [", "snapshot missing hash but --skip-hash-check=false"
    cases = [("flipped", bytes(flipped), wrong_digest), ("flipped in its digest", bytes(digest), wrong_digest),
             ("cut", good[:len(good) // 2 // 4096 * 4096], no_digest), ("without digest", good[:-32], no_digest),
             ("cut to three pages and 32", good[:4096 * 3 + 32], wrong_digest),
             ("empty", b"", "is empty"), ("garbage", b"not a database" * 9999, no_digest)]
    for what, content, message in cases:
        bad.write_bytes(content)
        before = state(server)
        result = server.restore(bad)
        equal(result.code, EXIT_DAMAGED, what, result)
        contains(result.err, message)
        contains(result.err, str(bad))
        equal(state(server), before, "changed by a snapshot that is", what)
    for what, entries in (("two", ["a", "b"]), ("path", ["../a"])):
        with zipfile.ZipFile(bench.dir / f"{what}.zip", "w") as z:
            for entry in entries:
                z.writestr(entry, good)
        before = state(server)
        result = server.restore(bench.dir / f"{what}.zip")
        equal(result.code, EXIT_DAMAGED, what, result)
        contains(result.err, f"unexpected compressed etcd snapshot contents: {bench.dir}/{what}.zip")
        equal(state(server), before, "changed by", what)
    before = state(server)
    missing = server.restore(bench.dir / "none")
    equal(missing.code, EXIT_FAILED, missing)
    contains(missing.err, f"etcd: snapshot path does not exist: {bench.dir}/none")
    contains(missing.err, server.snapshot_path.name)  # what there is instead
    directory = server.restore(bench.dir)
    equal(directory.code, EXIT_USAGE, directory)
    contains(directory.err, f"etcd: snapshot path must be a file, not a directory: {bench.dir}")
    equal(state(server), before)
    starts_with(server, server.now)


# --- tokens ---

def test_the_token_must_be_that_of_the_snapshot(bench):
    server = server_with_snapshot(bench)
    token_hash = hashlib.sha256(server.password.encode()).hexdigest()[:12]
    before = state(server)
    wrong = server.restore(server.snapshot_path, "--token=another")
    equal(wrong.code, EXIT_WRONG_TOKEN, wrong)
    contains(wrong.err, "bootstrap data already found and encrypted with different token")
    contains(wrong.err, f"needs the token with the hash {token_hash}")
    contains(wrong.err, hashlib.sha256(b"another").hexdigest()[:12])
    check(server.password not in wrong.err and "another" not in wrong.err, "a token was logged", wrong)
    bootstrap_form = server.restore(server.snapshot_path, "--token=abcdef.0123456789abcdef")
    equal(bootstrap_form.code, EXIT_USAGE, bootstrap_form)
    contains(bootstrap_form.err, "failed to normalize server token; must be in format "
                                 "K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>")
    equal(state(server), before)

    # The same on a normal start, and a plain reset.
    for result in (run_normally(server, "--token=another"), server.reset("--token=another")):
        equal(result.code, EXIT_WRONG_TOKEN, result)
        contains(result.err, "bootstrap data already found and encrypted with different token")
    equal(state(server), before)

    (server.server_dir / "token").rename(bench.dir / "kept-token")
    before = state(server)
    none = server.restore(server.snapshot_path)
    equal(none.code, EXIT_FAILED, none)
    contains(none.err, f"{server.server_dir}/token does not exist, please pass --token to complete the")
    equal(state(server), before)
    equal(server.restore(server.snapshot_path, f"--token-file={bench.dir}/kept-token").code, 0)
    starts_with(server, server.saved)


def test_bootstrap_data_that_do_not_open(bench):
    server = bench.server().start()
    server.etcdctl("put", "/bootstrap/0123456789ab", "another token's")
    two = server.save("--name", "two")
    ours = "/bootstrap/" + hashlib.sha256(server.password.encode()).hexdigest()[:12]
    sealed = server.etcdctl("get", ours, "--print-value-only").strip()
    server.etcdctl("put", ours, sealed[:-10] + "AAAAAAAA==")
    forged = server.save("--name", "forged")
    server.etcdctl("put", ours, "no seal at all")
    garbage = server.save("--name", "garbage")
    server.etcdctl("put", ours, sealed)
    now = server.dump()
    server.stop()
    before = state(server)
    for snapshot in (forged, garbage):
        result = server.restore(snapshot)
        check(result.code in (EXIT_DAMAGED, EXIT_WRONG_TOKEN), result)
        contains(result.err, "bootstrap data already found and encrypted with different token")
        contains(result.err, ours)
        equal(state(server), before, snapshot)
    # Of several the one that the token opens is taken; a token that opens none learns which do.
    wrong = server.restore(two, "--token=wrong")
    equal(wrong.code, EXIT_WRONG_TOKEN, wrong)
    contains(wrong.err, "0123456789ab")
    contains(wrong.err, ours.rsplit("/", 1)[1])
    equal(state(server), before)
    result = server.restore(two)
    equal(result.code, 0, result)
    contains(result.err, "found multiple bootstrap keys")
    server.start()
    equal(len(server.dump()), len(now))
    server.stop()


def test_a_restore_may_change_the_agent_token(bench):
    server = server_with_snapshot(bench, flags=["--agent-token=first"])
    passwd = server.server_dir / "cred/passwd"
    equal(server.restore(server.snapshot_path, "--agent-token=second").code, 0)
    # Whatever the clock says: the file is newer than the datastore by more than the tolerance.
    os.utime(passwd, (passwd.stat().st_mtime + 60,) * 2)
    starts_with(server, server.saved, "--agent-token=second")
    contains(passwd.read_text(), "second,node,node,")


def test_a_changed_agent_token_survives_a_start_that_did_not_become_ready(bench):
    server = server_with_snapshot(bench, flags=["--agent-token=first"])
    broken = failing_etcd(bench, server.etcd_dir, "no-etcd", "exec sleep 1000")
    passwd = server.server_dir / "cred/passwd"
    server.launch("--agent-token=second", f"--etcd-binary={broken}")
    wait_for(lambda: "second" in passwd.read_text(), "the new token to be written")
    server.kill()
    os.utime(passwd, (passwd.stat().st_mtime + 60,) * 2)
    starts_with(server, server.now, "--agent-token=second")
    contains(passwd.read_text(), "second,node,node,")


# --- space and permissions ---

def test_without_space_nothing_is_begun(bench):
    mounted(bench, "data", "size=180m")  # etcd's two WAL segments take 128 MB of it
    server = server_with_snapshot(bench)
    before = state(server)
    for result in (server.restore(server.snapshot_path), server.reset()):
        equal(result.code, EXIT_FAILED, result)
        contains(result.err, f"not enough space in {server.db}: ")
        contains(result.err, "Nothing was changed.")
        equal(state(server), before)

    # A disk that is really full.
    server.start()
    free = shutil.disk_usage(server.data_dir).free
    with open(server.data_dir / "ballast", "wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, free - 20000)
    names = server.names()
    refused = server.snapshot("save")
    check(refused.code != 0, "a save on a full disk succeeded", refused)
    contains(refused.err, "no space")
    equal(server.names(), names)
    check(not list(server.snapshots.glob("*.part")), "a half snapshot stayed")
    (server.data_dir / "ballast").unlink()
    server.save()
    server.stop()
    starts_with(server, server.now)


def test_a_read_only_disk_is_named(bench):
    mounted(bench, "data", "size=600m")
    server = server_with_snapshot(bench)
    before = tree(server.server_dir)
    bench.ok("mount", "-o", "remount,ro", server.data_dir)
    for result in (server.restore(server.snapshot_path), server.reset()):
        check(result.code != 0, result)
        contains(result.err, str(server.data_dir))
        contains(result.err, "read-only file system")
    equal(tree(server.server_dir), before)
    bench.ok("mount", "-o", "remount,rw", server.data_dir)
    result = server.restore(server.snapshot_path)
    equal(result.code, 0, result)
    starts_with(server, server.saved)


def test_modes_are_right_under_any_umask_and_repaired(bench):
    for umask in (0o000, 0o177):
        server = bench.server(f"umask-{umask:o}")
        old = os.umask(umask)
        try:
            server.start()
            snapshot = server.save("--snapshot-compress")
            server.stop()
            equal(server.restore(snapshot).code, 0)
            server.start()
            server.stop()
        finally:
            os.umask(old)
        open_files = [p for p in server.server_dir.rglob("*") if not p.is_symlink() and p.lstat().st_mode & 0o077]
        # What may be seen: certificates, which are public.
        equal([p for p in open_files if p.suffix != ".crt" and "member" not in p.parts], [], "open to others")
        for directory in ("", "db", "db/etcd", "db/snapshots", "tls", "cred"):
            equal(stat.S_IMODE((server.server_dir / directory).stat().st_mode), 0o700, directory)


# --- which file is meant ---

def test_a_snapshot_is_found_by_name_and_path(bench):
    server = server_with_snapshot(bench)
    plain = server.snapshot_path
    cwd = bench.dir / "somewhere"
    (cwd / "sub").mkdir(parents=True)
    shutil.copy(plain, cwd / "sub/copied")
    shutil.copy(plain, cwd / "here")
    shutil.copy(plain, cwd / plain.name)  # the same file under the same name: no question which is meant
    for given, found in [(plain.name, plain), ("here", cwd / "here"), ("./here", cwd / "here"), (plain, plain),
                         ("sub/copied", cwd / "sub/copied"), ("../somewhere/here", cwd / "here"),
                         (f"file://{plain}", plain)]:
        result = server.restore(given, cwd=cwd)
        equal(result.code, 0, given, result)
        contains(result.err, f"Restoring {os.path.normpath(found)} (")
    with open(cwd / plain.name, "ab") as other:
        other.write(b"different")
    before = state(server)
    result = server.restore(plain.name, cwd=cwd)
    equal(result.code, EXIT_USAGE, result)
    contains(result.err, f"there are two different files of the name {plain.name}: {plain} and {cwd / plain.name}")
    equal(state(server), before)
    # Without the suffix the right name is told.
    shutil.move(plain, bench.dir / "moved")
    with zipfile.ZipFile(f"{plain}.zip", "w") as z:
        z.write(bench.dir / "moved", plain.name)
    result = server.restore(plain.name)
    equal(result.code, EXIT_FAILED, result)
    contains(result.err, f"There is {plain}.zip.")
    starts_with(server, server.saved)


def test_a_snapshot_directory_of_ones_own(bench):
    backups = bench.dir / "backups"
    backups.mkdir()
    flags = [f"--etcd-snapshot-dir={backups}"]
    server = bench.server().start(*flags)
    server.fill(20)
    saved = server.dump()
    for more in (["--etcd-snapshot-compression=none"], ["--snapshot-compress"], ["--etcd-snapshot-compression=zstd"]):
        result = server.snapshot("save", *more)
        equal(result.code, 0, result)
    server.etcdctl("put", "/later", "x")
    server.stop()
    paths = sorted(backups.iterdir())
    equal([p.suffix for p in paths if p.suffix in (".zip", ".zst")], [".zip", ".zst"])
    equal(len(paths), 3)
    for path in paths:
        result = server.restore(path.name, *flags)
        equal(result.code, 0, result)
        contains(result.err, f"Restoring {path} (")
        starts_with(server, saved, *flags)
    equal(sorted(backups.iterdir()), paths, "nothing was unpacked there")
    unknown = server.restore(paths[0].name)  # not in the default directory
    equal(unknown.code, EXIT_FAILED, unknown)


# --- the plan ---

def times_and_state(server):
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_ctime_ns) for p in server.data_dir.rglob("*")}, state(server)


def dry_run(server, *flags, code=0, **options):
    """The plan as JSON, and as text; nothing was touched."""
    before = times_and_state(server)
    plan = server.reset("--dry-run", "-o", "json", *flags, **options)
    equal(plan.code, code, plan)
    text = server.reset("--dry-run", *flags, **options)
    equal(text.code, code, text)
    contains(text.out, "Nothing was changed.")
    equal(times_and_state(server), before, "a dry run touched something")
    equal(json.loads(plan.out)["passes"], code == 0, plan)
    return json.loads(plan.out), text


def test_the_plan_of_a_restore(bench):
    server = server_with_snapshot(bench)
    server.start()
    cluster_id = server.cluster_id()
    server.etcdctl("put", "/later", "again")
    server.etcdctl("put", "/other", "x")
    server.etcdctl("del", "/registry/things/000003")
    now, revision, free = server.dump(), server.revision(), shutil.disk_usage(server.db).free
    zipped = server.save("--snapshot-compress")
    server.stop()
    for snapshot in (server.snapshot_path, zipped):
        plan, text = dry_run(server, f"--cluster-reset-restore-path={snapshot.name}")
        saved = plan["snapshot"]
        equal(saved["path"], str(snapshot))
        equal((saved["node"], saved["clusterID"], saved["digest"]), ("node-1", cluster_id, "verified"))
        token_hash = hashlib.sha256(server.password.encode()).hexdigest()[:12]
        equal((saved["tokenHash"], plan["opensWithTokenHash"]), (token_hash, token_hash))
        equal((plan["live"]["revision"], plan["live"]["clusterID"]), (revision, cluster_id))
        equal(plan["peers"], [])
        check(128_000_000 < plan["space"]["needed"] < plan["space"]["free"], plan)
        check(abs(plan["space"]["free"] - free) < 10**9, plan, free)
        for part in (str(snapshot), "on node-1, of cluster " + cluster_id, f"opens the bootstrap data (token hash {token_hash})",
                     "set aside as etcd-old-<time>"):
            contains(text.out, part)
        lost = plan["lost"]
        if snapshot == zipped:
            equal(saved["revision"], revision)
            equal(lost, {"revisions": 0, "keysWritten": 0, "keysDeleted": 0})
        else:
            equal((saved["revision"], saved["liveKeys"]), (server.saved_revision, len(server.saved) + 1))  # with its own record
            equal(lost, {"revisions": revision - server.saved_revision, "keysWritten": 2, "keysDeleted": 1})
            contains(text.out, "2 keys written and 1 deleted since the snapshot")
    starts_with(server, now)


def test_the_plan_says_what_a_reset_would_fail_with(bench):
    server = server_with_snapshot(bench)
    bad = bench.dir / "bad"
    content = bytearray(server.snapshot_path.read_bytes())
    content[len(content) // 2] ^= 4
    bad.write_bytes(content)
    shutil.copy(server.snapshot_path, bench.dir / "plain")
    with open(bench.dir / "plain", "r+b") as f:
        f.truncate(len(content) - 32)
    good = server.snapshot_path
    cases = [([f"--cluster-reset-restore-path={bad}"], EXIT_DAMAGED, "expected sha256 ["),
             ([f"--cluster-reset-restore-path={bench.dir}/plain"], EXIT_DAMAGED, "snapshot missing hash"),
             ([f"--cluster-reset-restore-path={good}", "--token=wrong"], EXIT_WRONG_TOKEN, "needs the token with the hash"),
             (["--token=wrong"], EXIT_WRONG_TOKEN, "needs the token with the hash"),
             (["--cluster-reset-restore-path=none"], EXIT_FAILED, "snapshot path does not exist"),
             (["--etcd-binary=/none"], EXIT_FAILED, "/none")]
    for flags, code, message in cases:
        plan, text = dry_run(server, *flags, code=code)
        contains(text.err, message)
        contains(plan["error"], message)
        # And that is what happens, except that an etcd that is not there is no matter of the plan's data.
        result = server.reset(*flags)
        equal(result.code, code, flags, result)
        contains(result.err, message)
    (server.db / "reset-flag").write_text("")
    _, text = dry_run(server, code=EXIT_FAILED)
    contains(text.err, "previously reset")
    (server.db / "reset-flag").unlink()
    (server.db / "lineage.json").write_text("{")
    _, text = dry_run(server, code=EXIT_DAMAGED)
    contains(text.err, "lineage.json is damaged")
    (server.db / "lineage.json").unlink()

    without = run_normally(server, "--dry-run")
    equal(without.code, EXIT_USAGE, without)
    contains(without.err, "invalid flag use; --cluster-reset required with --dry-run")
    server.start()
    running = server.reset("--dry-run")
    equal(running.code, EXIT_BUSY, running)
    contains(running.err, f"another server is running on {server.data_dir} (pid {server.process.pid})")
    server.stop()

    (server.db / "etcd/member/snap/db").write_bytes(b"rubbish" * 1000)
    dry_run(server, code=EXIT_DAMAGED)
    plan, text = dry_run(server, f"--cluster-reset-restore-path={good}")
    contains(text.out, "cannot be read")
    check("lost" not in plan, plan)


def test_the_plan_on_a_new_host(bench):
    origin = server_with_snapshot(bench, name="origin")
    new = bench.server("new")
    flags = [f"--cluster-reset-restore-path={origin.snapshot_path}", f"--token={origin.token}"]
    plan = new.reset("--dry-run", "-o", "json", *flags)
    equal(plan.code, 0, plan)
    check("live" not in json.loads(plan.out), plan)
    check(not new.data_dir.exists(), "a dry run made the data directory")
    nothing = new.reset("--dry-run")
    equal(nothing.code, EXIT_FAILED, nothing)
    contains(nothing.err, "there are no etcd data")
    check(not new.data_dir.exists(), "a dry run made the data directory")


# --- one after the other ---

def test_two_restores_in_a_row(bench):
    server = server_with_snapshot(bench)
    for _ in range(2):
        result = server.restore(server.snapshot_path)
        equal(result.code, 0, result)
        contains(result.err, RESET_DONE)
    check((server.db / "reset-flag").exists(), "no reset-flag")
    equal(len(db_names(server, "etcd-old-")), 2, "every former state is kept")
    equal(list(server.server_dir.glob("tls-*")), [], "the certificates are the same, so they need no copy")
    starts_with(server, server.saved)
    first = server.db / db_names(server, "etcd-old-")[0]
    # And the former state is whole: it can be put back by hand.
    shutil.rmtree(server.db / "etcd")
    refused = run_normally(server)
    equal(refused.code, EXIT_FAILED, refused)
    contains(refused.err, "starting now would begin an empty cluster")
    contains(refused.err, f"mv {server.db}/etcd-old-")
    first.rename(server.db / "etcd")
    starts_with(server, server.now)


def test_reset_keeps_the_data_and_is_not_repeated_by_accident(bench):
    server = server_with_snapshot(bench)
    first = server.reset()
    equal(first.code, 0, first)
    contains(first.err, RESET_DONE)
    again = server.reset()
    equal(again.code, EXIT_FAILED, again)
    contains(again.err, "Managed etcd cluster membership was previously reset, please remove the cluster-reset flag "
                        "and start holdfast normally. If you need to perform another cluster reset, you must first "
                        f"manually delete the file at {server.db}/reset-flag")
    starts_with(server, server.now)
    equal(server.reset().code, 0, "after a normal start")
    (server.db / "reset-flag").unlink()
    equal(server.reset().code, 0, "after the flag was removed by hand")
    # A restore asks for what it says: the flag does not matter, and a reset after it is one too many.
    result = server.restore(server.snapshot_path)
    equal(result.code, 0, result)
    equal(server.reset().code, EXIT_FAILED)
    starts_with(server, server.saved)
    server.start()
    check(server.revision() >= server.saved_revision, "the revision went back")
    server.stop()


def test_a_reset_makes_a_new_cluster_of_the_same_data(bench):
    for etcd_dir in {etcd_versions()[0], etcd_versions()[-1]}:
        server = server_with_snapshot(bench, name=f"data-{etcd_dir.parent.name}", etcd_dir=etcd_dir)
        server.start()
        ids, revision, cas = [server.cluster_id()], server.revision(), tree(server.server_dir / "tls")
        hash_kv = server.hash_kv(revision)
        manifest = json.loads((server.db / ".metadata" / server.snapshot_path.name).read_text())
        equal(manifest["holdfast-cluster-id"], ids[0])
        server.stop()
        for reset in (server.reset, lambda: server.restore(server.snapshot_path), server.reset):
            live = tree(server.db / "etcd")
            result = reset()
            equal(result.code, 0, result)
            old = db_names(server, "etcd-old-")[-1]
            equal({p: w for p, w in tree(server.db / old).items()}, live, "the former data are as they were")
            equal(server.former_ids(), ids)
            equal(stat.S_IMODE((server.db / "lineage.json").stat().st_mode), 0o600)
            check("--rejoin" not in result.err, "there are no peers", result)
            server.start()
            check(server.cluster_id() not in ids, "the id is not new", ids)
            ids.append(server.cluster_id())
            if len(ids) == 2:
                equal(server.dump(), server.now)
                equal(server.hash_kv(revision), hash_kv)
            equal(tree(server.server_dir / "tls"), cas)
            server.stop()
        starts_with(server, server.saved)


def test_a_reset_brings_what_is_only_in_the_log(bench):
    server = bench.server().start()
    server.fill(10)
    server.etcdctl("txn", stdin="\n" + "".join(f"put /last/{i} x\n" for i in range(50)) + "\n\n")
    now = server.dump()
    server.kill()  # etcd writes its database every 100 ms; its log before it answers
    result = server.reset()
    equal(result.code, 0, result)
    server.start()
    equal(server.dump(), now)
    server.stop()


def test_a_new_host_remembers_the_snapshots_cluster(bench):
    origin = server_with_snapshot(bench, name="origin")
    origin.start()
    former = origin.cluster_id()
    origin.stop()
    new = bench.server("new")
    equal(new.restore(origin.snapshot_path, f"--token={origin.token}").code, 0)
    equal(new.former_ids(), [former], "by the snapshot's manifest")
    starts_with(new, origin.saved)
    shutil.copy(origin.snapshot_path, bench.dir / "alone")
    other = bench.server("other")
    equal(other.restore(bench.dir / "alone", f"--token={origin.token}").code, 0)
    equal(other.former_ids(), [], "nobody wrote it down")
    starts_with(other, origin.saved)


def test_a_damaged_lineage_stops_a_reset(bench):
    server = server_with_snapshot(bench)
    (server.db / "lineage.json").write_text('{"former":')
    before = state(server)
    for result in (server.reset(), server.restore(server.snapshot_path)):
        equal(result.code, EXIT_DAMAGED, result)
        contains(result.err, f"{server.db}/lineage.json is damaged")
        contains(result.err, "tells which data are from before a reset")
    equal(state(server), before)
    (server.db / "lineage.json").unlink()
    equal(server.reset().code, 0)
    starts_with(server, server.now)


def test_reset_without_data(bench):
    server = bench.server()
    result = server.reset()
    equal(result.code, EXIT_FAILED, result)
    contains(result.err, f"there are no etcd data in {server.db}/etcd to reset")
    check(not (server.db / "reset-flag").exists(), "reset-flag was written")
    check(not (server.db / "etcd").exists(), "an empty cluster was begun")


def reset_after_the_quorum_is_lost(bench, etcd_dir):
    """The data directory of one of three members, the others gone."""
    server = server_with_snapshot(bench, name=f"data-{etcd_dir.parent.name}", etcd_dir=etcd_dir)
    peer = [flag.split("=")[1] for flag in server.ports if "peer-port" in flag][0]
    three = f"a=https://10.99.0.1:2380,b=https://10.99.0.2:2380,me=https://127.0.0.1:{peer}"
    shutil.rmtree(server.db / "etcd/member")
    restored = bench.dir / f"three-{etcd_dir.parent.name}"
    bench.ok(BIN, "restore", server.snapshot_path, "--data-dir", restored, "--name", "me", "--initial-cluster", three,
             "--initial-advertise-peer-urls", f"https://127.0.0.1:{peer}")
    shutil.move(restored / "member", server.db / "etcd/member")
    plan, text = dry_run(server)
    equal(sorted(peer["name"] for peer in plan["peers"]), ["a", "b"])
    contains(text.out, "a (https://10.99.0.1:2380): its data will be of a former cluster; it must rejoin")
    contains(text.out, "what other members had acknowledged and this one did not get")
    result = server.reset()
    equal(result.code, 0, result)
    contains(result.err, RESET_DONE)
    us = f"https://127.0.0.1:{server.supervisor_port}"
    for peer in ("a (https://10.99.0.1:2380)", "b (https://10.99.0.2:2380)"):
        contains(result.err, f"If {peer} is to serve in this cluster again")
    equal(result.err.count(f"holdfast server --rejoin --server {us}"), 2)
    equal(result.err.count(f"rm -rf {server.data_dir}/server/db, then holdfast server --server {us}"), 2)
    starts_with(server, server.saved)


def test_reset_after_the_quorum_is_lost(bench):
    for etcd_dir in {etcd_versions()[0], etcd_versions()[-1]}:
        reset_after_the_quorum_is_lost(bench, etcd_dir)


def test_a_reset_may_move_the_node(bench):
    """Another name, another port: the member is known by them afterwards."""
    server = server_with_snapshot(bench)
    port = bench.port()
    moved = [f"--etcd-peer-port={port}", "--node-name=node-2"]
    for result in (server.reset(*moved), server.restore(server.snapshot_path, *moved)):
        equal(result.code, 0, result)
        server.start(*moved)
        member, = json.loads(server.etcdctl("member", "list", "-w", "json"))["members"]
        equal(member["peerURLs"], [f"https://127.0.0.1:{port}"])
        check(member["name"].startswith("node-2-"), member)
        server.stop()


def test_a_server_url_must_be_removed_first(bench):
    server = server_with_snapshot(bench)
    before = state(server)
    url = "https://10.0.0.1:9345"
    for result in (server.reset(f"--server={url}"), server.restore(server.snapshot_path, f"--server={url}"),
                   server.reset(env={"HOLDFAST_URL": url})):
        check(result.code != 0, result)
        contains(result.err, "cannot perform cluster-reset while server URL is set - remove server from configuration "
                             "before resetting")
    path_only = run_normally(server, f"--cluster-reset-restore-path={server.snapshot_path}")
    equal(path_only.code, EXIT_USAGE, path_only)
    contains(path_only.err, "invalid flag use; --cluster-reset required with --cluster-reset-restore-path")
    equal(state(server), before)


def test_only_one_at_a_time(bench):
    server = server_with_snapshot(bench)
    server.start()
    pid = server.process.pid
    for result in (server.restore(server.snapshot_path), server.reset(), run_normally(server)):
        equal(result.code, EXIT_BUSY, result)
        contains(result.err, f"another server is running on {server.data_dir} (pid {pid})")
    equal(server.dump(), server.now)
    server.stop()

    hanging = failing_etcd(bench, server.etcd_dir, "hanging-etcd", "exec sleep 1000")
    reset = bench.spawn(server.server_args("--cluster-reset", f"--cluster-reset-restore-path={server.snapshot_path}",
                                           f"--etcd-binary={hanging}"), "hanging.log", env=server.env)
    log = bench.dir / "hanging.log"
    wait_for(lambda: "Starting etcd for cluster membership reset" in log.read_text(), "the reset to run")
    for result in (server.restore(server.snapshot_path), server.reset(), run_normally(server)):
        equal(result.code, EXIT_BUSY, result)
        contains(result.err, f"(pid {reset.pid})")
    # Ctrl-C while it waits for an etcd that never comes: everything is as before.
    reset.send_signal(signal.SIGINT)
    check(reset.wait(60) not in (0, -signal.SIGINT), "the reset that was stopped says it succeeded")
    contains(log.read_text(), "The data and certificates from before are in place again")
    equal(bench.run("pgrep", "-f", f"{hanging} --config").out, "", "etcd was left behind")
    equal(db_names(server, "etcd-"), [])
    starts_with(server, server.now)


# --- old data that are no good ---

def test_damaged_old_data_do_not_matter(bench):
    server = server_with_snapshot(bench)
    (server.db / "etcd/member/snap/db").write_bytes(b"rubbish" * 1000)
    for wal in (server.db / "etcd/member/wal").glob("*.wal"):
        wal.write_bytes(b"rubbish")
    result = server.restore(server.snapshot_path)
    equal(result.code, 0, result)
    starts_with(server, server.saved)
    old, = db_names(server, "etcd-old-")
    kept = (server.db / old / "member/snap/db").read_bytes()
    equal(kept[:7], b"rubbish", "the old data are set aside, whatever they are")
    # No old data, half of them, or a file of that name.
    shutil.rmtree(server.db / "etcd")
    result = server.restore(server.snapshot_path)
    equal(result.code, 0, result)
    shutil.rmtree(server.db / "etcd/member/wal")
    result = server.restore(server.snapshot_path)
    equal(result.code, 0, result)
    shutil.rmtree(server.db / "etcd")
    (server.db / "etcd").write_text("a file")
    result = server.restore(server.snapshot_path)
    equal(result.code, 0, result)
    starts_with(server, server.saved)


def test_a_damaged_database_is_not_reset_and_says_what_to_do(bench):
    server = server_with_snapshot(bench)
    database = server.db / "etcd/member/snap/db"
    database.write_bytes(b"rubbish" * 1000)
    before = state(server)
    result = server.reset()
    equal(result.code, EXIT_DAMAGED, result)
    contains(result.err, str(database))
    equal(state(server), before)
    result = server.restore(server.snapshot_path)
    equal(result.code, 0, result)
    starts_with(server, server.saved)


# --- etcd does not come up ---

def test_if_etcd_cannot_start_the_old_data_come_back(bench):
    server = server_with_snapshot(bench)
    foreign = server_with_snapshot(bench, name="foreign", keys=5)
    ending = failing_etcd(bench, server.etcd_dir, "ending-etcd", "echo 'panic: no luck today' >&2; exit 7")
    killed = failing_etcd(bench, server.etcd_dir, "killed-etcd", "kill -9 $$")
    etcds = {
        "ends": [f"--etcd-binary={ending}"],
        "is killed": [f"--etcd-binary={killed}"],
        "does not like its configuration": ["--etcd-arg=listen-metrics-urls=nonsense"],
    }
    for what, flags in etcds.items():
        for snapshot, token in ((server.snapshot_path, server.token), (foreign.snapshot_path, foreign.token)):
            before = state(server)
            result = server.restore(snapshot, f"--token={token}", *flags)
            equal(result.code, EXIT_FAILED, what, result)
            contains(result.err, "reset failed: etcd ended with ")
            contains(result.err, "The data and certificates from before are in place again; nothing is lost.")
            after = state(server)
            # With another cluster's snapshot the leaves were made for its CAs, and then again; a copy of tls stays.
            kept = {p: w for p, w in after.items() if not p.startswith("tls")}
            equal(kept, {p: w for p, w in before.items() if not p.startswith("tls")}, what)
            for p, (_, content) in before.items():
                if p.startswith("tls/") and ("-ca." in p or "service" in p):
                    equal(after[p][1], content, what, p)
            if snapshot == server.snapshot_path:
                equal(after, before, what)
    result = server.restore(server.snapshot_path, *etcds["ends"])
    contains(result.err, "etcd ended with exit code 7: panic: no luck today")
    starts_with(server, server.now)

    # On a host without data there are none afterwards, and the same command works once etcd does.
    new = bench.server("new")
    result = new.restore(server.snapshot_path, f"--token={server.token}", *etcds["ends"])
    equal(result.code, EXIT_FAILED, result)
    contains(result.err, "There were no data before, and there are none now.")
    equal(db_names(new), [])
    equal([p for p in new.server_dir.rglob("*-ca.*")], [], "certificates of a cluster that is not here")
    equal(new.restore(server.snapshot_path, f"--token={server.token}").code, 0)
    starts_with(new, server.saved)


def test_a_plain_reset_that_fails_keeps_the_data(bench):
    server = server_with_snapshot(bench)
    broken = failing_etcd(bench, server.etcd_dir, "ending-etcd", "exit 7")
    before = state(server)
    result = server.reset(f"--etcd-binary={broken}")
    equal(result.code, EXIT_FAILED, result)
    contains(result.err, "reset failed: etcd ended with exit code 7")
    contains(result.err, "The data and certificates from before are in place again; nothing is lost.")
    equal(state(server), before)
    check(not (server.db / "reset-flag").exists(), "reset-flag after a reset that failed")
    starts_with(server, server.now)
    equal(server.reset().code, 0)
    starts_with(server, server.now)


# --- snapshots of others ---

def test_another_clusters_snapshot_brings_its_certificates(bench):
    old = server_with_snapshot(bench, name="old")
    here = server_with_snapshot(bench, name="here", keys=3)
    former, former_token, former_ca = tree(here.server_dir / "tls"), here.token, ca_of(here)
    result = here.restore(old.snapshot_path, f"--token={old.token}")
    equal(result.code, 0, result)
    backup, = here.server_dir.glob("tls-*")
    check(backup.name[4:].isdigit(), backup)
    contains(result.err, f"the previous ones are in {backup}")
    equal(tree(backup), former, "the copy of the former certificates")
    starts_with(here, old.saved)
    for ca in ("client-ca", "server-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"):
        equal(ca_of(here, ca), ca_of(old, ca), ca)
    equal(here.token, old.token)
    # Its own snapshot needs its former token now, and brings everything back.
    wrong = here.restore(here.snapshot_path)
    equal(wrong.code, EXIT_WRONG_TOKEN, wrong)
    equal(here.restore(here.snapshot_path, f"--token={former_token}").code, 0)
    starts_with(here, here.saved)
    equal(ca_of(here), former_ca)
    equal(here.token, former_token)


def test_a_snapshot_by_etcdctl_of_any_etcd(bench):
    """Without bootstrap data: this node's own certificates and token stay."""
    for origin in {etcd_versions()[0], etcd_versions()[-1]}:
        etcd = BareEtcd(bench, etcd_dir=origin).start()
        etcd.fill(60)
        etcd.etcdctl("put", "rke2/apiaddresses", "10.0.0.1:6443")
        before = etcd.dump()
        snapshot = bench.dir / f"vanilla-{origin.parent.name}.db"
        etcd.etcdctl("snapshot", "save", snapshot)
        etcd.stop()
        server = server_with_snapshot(bench, name=f"data-{origin.parent.name}", keys=3, etcd_dir=origin)
        ca, token = ca_of(server), server.token
        result = server.restore(snapshot)
        equal(result.code, 0, result)
        contains(result.err, "The snapshot holds no bootstrap data; this node's own certificates stay")
        server.start()
        found = server.dump()
        ours = {key for key in found if key not in before}
        equal(len(ours), 1, "the bootstrap data, which were not there before")
        addresses = json.loads(server.etcdctl("get", "rke2/apiaddresses", "-w", "json"))["kvs"][0]
        check(not addresses.get("value"), "the addresses of the former apiservers", addresses)
        for key, value in before.items():
            if key != addresses["key"]:
                equal(found[key], value, key)
        equal(ca_of(server), ca)
        equal(server.token, token)
        server.stop()
    # On a host that has nothing yet, certificates are made; the token given is the new cluster's.
    new = bench.server("new")
    equal(new.restore(snapshot, "--token=fresh").code, 0)
    new.start()
    equal(new.password, "fresh")
    new.stop()


def test_a_snapshot_of_a_newer_etcd_and_of_an_older_one(bench):
    oldest, newest = etcd_versions()[0], etcd_versions()[-1]
    if oldest == newest:
        raise Skip("needs two etcds: scripts/fetch-etcd")
    for origin, target in ((oldest, newest), (newest, oldest)):
        server = server_with_snapshot(bench, name=f"from-{origin.parent.name}", etcd_dir=origin)
        server.etcd_dir = target
        result = server.restore(server.snapshot_path)
        equal(result.code, 0, result)
        starts_with(server, server.saved)


def test_a_snapshot_taken_without_space_left_in_the_quota(bench):
    server = bench.server().start("--etcd-arg=quota-backend-bytes=2000000")
    wait_for(lambda: "space exceeded" in server.try_etcdctl("put", "/big", "x" * 100000).err, "the quota to be reached")
    saved = server.dump()
    snapshot = server.save()
    server.stop()
    for restore in (lambda: server.restore(snapshot, "--etcd-arg=quota-backend-bytes=20000000"),
                    lambda: server.reset("--etcd-arg=quota-backend-bytes=20000000")):
        result = restore()
        equal(result.code, 0, result)
        server.start("--etcd-arg=quota-backend-bytes=20000000")
        equal(server.dump(), saved)
        equal(server.etcdctl("alarm", "list").strip(), "")
        server.etcdctl("put", "/small", "x")
        server.etcdctl("del", "/small")
        server.stop()


def test_bump_revision_in_a_reset(bench):
    server = server_with_snapshot(bench)
    result = server.restore(server.snapshot_path, "--bump-revision=1000", "--mark-compacted")
    equal(result.code, 0, result)
    server.start()
    equal(server.dump(), server.saved)
    equal(server.revision(), server.saved_revision + 1000)
    old = server.try_etcdctl("get", "/registry/things/000003", "--rev", str(server.saved_revision))
    contains(old.err, "compacted")
    server.stop()
    before = state(server)
    for flags in (["--bump-revision=5"], ["--mark-compacted"]):
        result = server.restore(server.snapshot_path, *flags)
        equal(result.code, EXIT_USAGE, result)
    equal(state(server), before)


# --- how directories are laid out by people ---

def test_a_linked_etcd_directory(bench):
    """db/etcd on another disk, by a link."""
    server = server_with_snapshot(bench)
    equal(server.restore(server.snapshot_path).code, 0)  # so that there are former data beside it
    server.now = server.saved
    disk = bench.dir / "fast-disk"
    shutil.move(server.db / "etcd", disk)
    (server.db / "etcd").symlink_to(disk)
    starts_with(server, server.now)
    result = server.restore(server.snapshot_path)
    equal(result.code, 0, result)
    starts_with(server, server.saved)
    check((disk / "member/wal").is_dir(), "the old data are gone")
    check((server.db / db_names(server, "etcd-old-")[1]).is_symlink(), "the link to the old data")


def test_a_mounted_etcd_directory_is_told_before_anything_is_done(bench):
    server = bench.server()
    server.db.mkdir(parents=True)
    disk = mounted(bench, "disk", "size=600m")
    (server.db / "etcd").mkdir()
    if bench.run("mount", "--bind", disk, server.db / "etcd").code != 0:
        raise Skip("needs root to mount")
    bench.stack.callback(subprocess.run, ["umount", "-l", str(server.db / "etcd")], check=False, capture_output=True)
    server.start()
    server.fill(5)
    now = server.dump()
    snapshot = server.save()
    server.stop()
    before = state(server)
    result = server.restore(snapshot)
    equal(result.code, EXIT_FAILED, result)
    contains(result.err, f"{server.db}/etcd is a mount point")
    equal(state(server), before)
    starts_with(server, now)
