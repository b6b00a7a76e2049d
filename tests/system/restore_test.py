"""`holdfast restore` against `etcdctl/etcdutl snapshot restore`: the same files, and they boot and agree everywhere."""
import json
import re
import shutil
import struct

from harness import BareEtcd, Skip, check, contains, equal, etcd_versions, tree, wait_for

FIRST_WAL = "member/wal/0000000000000000-0000000000000000.wal"
EXIT_FAILED, EXIT_USAGE, EXIT_DAMAGED = 1, 2, 3


def restore_tool(etcd_dir):
    """The program of this etcd that restores: etcdutl from 3.5 on, etcdctl before."""
    utl = etcd_dir / "etcdutl"
    return utl if utl.exists() else etcd_dir / "etcdctl"


def newest_etcd():
    """The newest 3.5 or later; the test is skipped without one."""
    found = [d for d in etcd_versions() if (d / "etcdutl").exists()]
    if not found:
        raise Skip("needs etcd 3.5: scripts/fetch-etcd")
    return found[-1]


def wal_records(path):
    """The records of a WAL segment as bytes, padding cut; they end where the zeros begin."""
    data, at, out = path.read_bytes(), 0, []
    while at + 8 <= len(data):
        field, = struct.unpack_from("<Q", data, at)
        if field == 0:
            break
        size, pad = field & (2**56 - 1), (field >> 56) & 7 if field >> 63 else 0
        out.append(data[at + 8:at + 8 + size])
        at += 8 + size + pad
    check(not any(data[at:]), "the rest of", path, "is not zeros")
    return out


def boot(bench, data_dir, etcd_dir, name="default", *more):
    return BareEtcd(bench, data_dir=data_dir, etcd_dir=etcd_dir, name=name).start(*more).wait_ready()


# --- what is written ---

def test_the_files_are_etcdutls(bench):
    snapshot = bench.sample_snapshot(150)
    cluster = ",".join(f"n{i}=http://10.0.0.{i}:2380" for i in (1, 2, 3)) + ",n3=http://[::1]:2380"
    flags = ["--initial-cluster", cluster, "--initial-cluster-token", "the-token", "--name", "n3",
             "--initial-advertise-peer-urls", "http://[::1]:2380,http://10.0.0.3:2380"]
    ours = bench.dir / "ours"
    equal(bench.holdfast("restore", snapshot, "--data-dir", ours, *flags).code, 0)
    for etcd_dir in etcd_versions():
        theirs = bench.dir / f"theirs-{etcd_dir.parent.name}-{etcd_dir.name}"
        bench.ok(restore_tool(etcd_dir), "snapshot", "restore", snapshot, "--data-dir", theirs, *flags)
        equal(sorted(tree(ours)), sorted(tree(theirs)), "names of files")
        for path in sorted((theirs / "member").rglob("*")):
            mine = ours / path.relative_to(theirs)
            if path.is_dir() or path.name == "db":
                equal(oct(mine.stat().st_mode), oct(path.stat().st_mode), "mode of", mine)
        snap, = [p.relative_to(theirs) for p in (theirs / "member/snap").glob("*.snap")]
        equal((ours / snap).read_bytes(), (theirs / snap).read_bytes(), snap, "of", etcd_dir)
        if (etcd_dir / "etcdutl").exists():
            equal((ours / FIRST_WAL).read_bytes(), (theirs / FIRST_WAL).read_bytes(), "WAL of", etcd_dir)
        else:
            # 3.4 leaves the ConfState out of the last record, which changes that record's checksum too.
            equal(wal_records(ours / FIRST_WAL)[:-1], wal_records(theirs / FIRST_WAL)[:-1], "WAL of", etcd_dir)
            equal(len(wal_records(ours / FIRST_WAL)), len(wal_records(theirs / FIRST_WAL)))


def test_our_snapshots_are_good_for_etcds_own_tools(bench):
    server = bench.server().start()
    server.fill(120)
    before, revision = server.dump(), server.revision()
    hash_before = server.hash_kv(revision)
    snapshot = server.save()
    server.stop()
    for etcd_dir in etcd_versions():
        name = f"{etcd_dir.parent.name}-{etcd_dir.name}"
        status = json.loads(bench.ok(etcd_dir / "etcdctl", "snapshot", "status", snapshot, "-w", "json").out)
        equal(status["revision"], revision)
        bench.ok(restore_tool(etcd_dir), "snapshot", "restore", snapshot, "--data-dir", bench.dir / name)
        etcd = boot(bench, bench.dir / name, etcd_dir)
        equal(etcd.dump(), before, "keys by", etcd_dir)
        equal(etcd.hash_kv(revision), hash_before, "HashKV by", etcd_dir)
        etcd.stop()


# --- that it boots ---

def test_a_restored_directory_boots_on_every_etcd(bench):
    versions = etcd_versions()
    for origin in {versions[0], versions[-1]}:
        etcd = BareEtcd(bench, etcd_dir=origin).start()
        etcd.fill(150)
        etcd.etcdctl("compaction", str(etcd.revision() - 1))
        lease = etcd.etcdctl("lease", "grant", "3600").split()[1]
        etcd.etcdctl("put", "/leased", "x", f"--lease={lease}")
        before, revision = etcd.dump(), etcd.revision()
        hash_before = etcd.hash_kv(revision)
        snapshot = bench.dir / f"from-{origin.parent.name}-{origin.name}"
        etcd.etcdctl("snapshot", "save", snapshot)
        etcd.stop()
        for target in versions:
            data_dir = bench.dir / f"{snapshot.name}-on-{target.parent.name}-{target.name}"
            equal(bench.holdfast("restore", snapshot, "--data-dir", data_dir).code, 0)
            for again in (False, True):  # a second boot reads what the first one wrote
                etcd = boot(bench, data_dir, target)
                if not again:
                    equal(etcd.dump(), before, "keys of", data_dir)
                    equal(etcd.revision(), revision)
                    equal(etcd.hash_kv(revision), hash_before, "HashKV of", data_dir)
                    contains(etcd.etcdctl("lease", "list"), lease)
                    etcd.etcdctl("put", "/after", "works")
                else:
                    equal(etcd.etcdctl("get", "/after", "--print-value-only").strip(), "works")
                equal(len(json.loads(etcd.etcdctl("member", "list", "-w", "json"))["members"]), 1)
                etcd.stop()


def three_members(bench, etcd_dir):
    snapshot = bench.sample_snapshot(150, name=f"{etcd_dir.parent.name}.db", etcd_dir=etcd_dir)
    revision = json.loads(bench.holdfast("etcd-snapshot", "status", snapshot, "-o", "json").out)["revision"]
    members = [BareEtcd(bench, etcd_dir=etcd_dir, name=f"n{i}", data_dir=bench.dir / f"{etcd_dir.parent.name}-n{i}")
               for i in (1, 2, 3)]
    cluster = ",".join(f"{m.name}=http://127.0.0.1:{m.peer_port}" for m in members)
    for m in members:
        equal(bench.holdfast("restore", snapshot, "--data-dir", m.data_dir, "--name", m.name,
                             "--initial-cluster", cluster,
                             "--initial-advertise-peer-urls", f"http://127.0.0.1:{m.peer_port}").code, 0)
    for m in members:
        m.start("--experimental-initial-corrupt-check=true")
    for m in members:
        m.wait_ready()
    equal(len({m.hash_kv(revision) for m in members}), 1, "HashKV of the members")
    equal(members[0].dump(), members[2].dump())
    members[0].etcdctl("put", "/written", "to one")
    for m in members:
        equal(m.etcdctl("get", "/written", "--print-value-only").strip(), "to one")
        listed = json.loads(m.etcdctl("member", "list", "-w", "json"))["members"]
        equal(sorted(one["name"] for one in listed), ["n1", "n2", "n3"])
    equal(len({m.hash_kv(revision + 1) for m in members}), 1, "HashKV after a write")
    for m in members:
        m.stop()


def test_three_members_restored_one_by_one_are_a_cluster(bench):
    three_members(bench, etcd_versions()[0])


def test_three_members_are_a_cluster_on_the_newest_etcd_too(bench):
    three_members(bench, newest_etcd())


def test_compressed_snapshots_and_the_data_dir_as_people_write_it(bench):
    server = bench.server().start()
    server.fill(30)
    paths = [server.save("--etcd-snapshot-compression=none"), server.save("--snapshot-compress"),
             server.save("--etcd-snapshot-compression=zstd")]
    server.stop()
    databases = set()
    for i, path in enumerate(paths):
        given = f"restored-{i}/" if i == 0 else f"./deep/er/restored-{i}"  # a slash at the end; missing parents
        result = bench.holdfast("restore", path, "--data-dir", given)
        equal(result.code, 0, result)
        equal(oct((bench.dir / given).stat().st_mode & 0o777), "0o700")
        # The server's own keys differ between the three; what is restored is complete in each.
        databases.add((bench.dir / given / "member/snap/db").stat().st_size > 0)
        etcd = boot(bench, bench.dir / given, etcd_versions()[0])
        equal(len([k for k in etcd.dump()]), 30)  # 29 of ours and the bootstrap data
        etcd.stop()
    equal(databases, {True})


# --- options ---

def test_a_servers_configuration_does_not_get_in_the_way(bench):
    config = bench.dir / "server.yaml"
    config.write_text("data-dir: /nonexistent\netcd-s3: true\netcd-s3-bucket: b\netcd-s3-endpoint: 127.0.0.1:1\n")
    shutil.copy(bench.sample_snapshot(3), bench.dir / "backup.db")
    result = bench.holdfast("restore", "backup.db", "--data-dir", "made", env={"HOLDFAST_CONFIG_FILE": str(config)})
    equal(result.code, 0, result)
    check((bench.dir / "made/member/snap/db").exists())


def test_wal_dir(bench):
    snapshot = bench.sample_snapshot(20)
    data, wal = bench.dir / "data", bench.dir / "fast/disk/wal"
    equal(bench.holdfast("restore", snapshot, "--data-dir", data, "--wal-dir", wal).code, 0)
    check(not (data / "member/wal").exists(), "a WAL in the data directory too")
    equal([p.name for p in wal.iterdir()], ["0000000000000000-0000000000000000.wal"])
    etcd = boot(bench, data, etcd_versions()[0], "default", "--wal-dir", wal)
    equal(len(etcd.dump()), 19)
    etcd.stop()

    before = tree(bench.dir / "fast")
    taken = bench.holdfast("restore", snapshot, "--data-dir", bench.dir / "other", "--wal-dir", wal)
    equal(taken.code, EXIT_FAILED, taken)
    contains(taken.err, f"wal-dir {wal} exists")
    equal(tree(bench.dir / "fast"), before)
    check(not (bench.dir / "other").exists(), "the data directory was left behind")


def test_skip_hash_check_for_a_copied_database(bench):
    etcd = BareEtcd(bench).start()
    etcd.fill(60)
    before, revision = etcd.dump(), etcd.revision()
    hash_before = etcd.hash_kv(revision)
    etcd.stop()
    copied = shutil.copy(etcd.data_dir / "member/snap/db", bench.dir / "copied.db")
    refused = bench.holdfast("restore", copied, "--data-dir", bench.dir / "data")
    equal(refused.code, EXIT_DAMAGED, refused)
    contains(refused.err, "snapshot missing hash but --skip-hash-check=false")
    check(not (bench.dir / "data").exists(), "the data directory was left behind")
    equal(bench.holdfast("restore", copied, "--data-dir", bench.dir / "data", "--skip-hash-check").code, 0)
    etcd = boot(bench, bench.dir / "data", etcd_versions()[0])
    equal(etcd.dump(), before)
    equal(etcd.hash_kv(revision), hash_before)
    etcd.stop()


def bumped(bench, etcd_dir):
    etcd = BareEtcd(bench, etcd_dir=etcd_dir).start()
    etcd.fill(60)
    before, revision = etcd.dump(), etcd.revision()
    snapshot = bench.dir / f"{etcd_dir.parent.name}.db"
    etcd.etcdctl("snapshot", "save", snapshot)
    etcd.stop()
    data_dir = bench.dir / f"data-{etcd_dir.parent.name}"
    equal(bench.holdfast("restore", snapshot, "--data-dir", data_dir, "--bump-revision=1000000000",
                         "--mark-compacted").code, 0)
    etcd = boot(bench, data_dir, etcd_dir)
    wait_for(lambda: "compacted" in etcd.try_etcdctl("get", "/registry/things/000003", "--rev", str(revision)).err,
             "the old revisions to be compacted")
    # A client that watched before learns that it missed something, rather than waiting for ever.
    watch = etcd.try_etcdctl("watch", "/registry/things/", "--prefix", "--rev", str(revision - 1))
    check(watch.code != 0 and "compacted" in watch.out + watch.err, "an old watch goes on:", watch)
    equal(etcd.dump(), before, "keys, with the revisions they had")
    answer = json.loads(etcd.etcdctl("put", "/new", "x", "-w", "json"))
    equal(answer["header"]["revision"], revision + 1000000000 + 1)
    etcd.stop()


def test_bump_revision_makes_old_watches_start_again(bench):
    for etcd_dir in {etcd_versions()[0], etcd_versions()[-1]}:
        bumped(bench, etcd_dir)


def test_clear_alarms_of_a_snapshot_taken_without_space(bench):
    etcd_dir = etcd_versions()[0]
    etcd = BareEtcd(bench, etcd_dir=etcd_dir).start("--quota-backend-bytes=2000000")
    etcd.wait_ready()
    wait_for(lambda: "space exceeded" in etcd.try_etcdctl("put", "/big", "x" * 100000).err, "the quota to be reached")
    snapshot = bench.dir / "alarmed.db"
    etcd.etcdctl("snapshot", "save", snapshot)
    etcd.stop()

    plain = bench.holdfast("restore", snapshot, "--data-dir", bench.dir / "plain")
    equal(plain.code, 0, plain)
    contains(plain.err, "taken with an alarm raised")
    contains(plain.err, "--clear-alarms")
    etcd = boot(bench, bench.dir / "plain", etcd_dir)
    check(etcd.try_etcdctl("put", "/small", "x").code != 0, "the alarm should have come along")
    etcd.stop()

    cleared = bench.holdfast("restore", snapshot, "--data-dir", bench.dir / "cleared", "--clear-alarms")
    equal(cleared.code, 0, cleared)
    check("with an alarm raised" not in cleared.err, cleared)
    etcd = boot(bench, bench.dir / "cleared", etcd_dir)
    equal(etcd.etcdctl("alarm", "list").strip(), "")
    etcd.etcdctl("put", "/small", "x")
    etcd.stop()


def test_options_that_make_no_sense_are_refused_by_name(bench):
    snapshot = bench.sample_snapshot(5)
    ic, urls, data = "--initial-cluster", "--initial-advertise-peer-urls", ["--data-dir", bench.dir / "data"]
    cases = [
        ([], "--data-dir is required"),
        (data + ["--name", "other"], 'couldn\'t find local name "other" in the initial cluster configuration'),
        (data + [ic, "default=http://10.0.0.1:2380"], "--initial-cluster has default=http://10.0.0.1:2380 but "
                                                      "--initial-advertise-peer-urls is http://localhost:2380"),
        (data + [ic, "default=10.0.0.1:2380"], "10.0.0.1:2380"),
        (data + [ic, "default=http://10.0.0.1"], "http://10.0.0.1"),
        (data + [ic, "default=http://h:1/path", urls, "http://h:1/path"], "http://h:1/path"),
        (data + [ic, "default=http://h:1,two=http://h:1", urls, "http://h:1"], ""),
        (data + [ic, ""], ""),
        (data + ["--bump-revision=5"], "--mark-compacted is required with --bump-revision"),
        (data + ["--mark-compacted"], "--mark-compacted is required with --bump-revision"),
        (data + ["--bump-revision=-5", "--mark-compacted"], "bump-revision"),
        (data + ["--bump-revision=many", "--mark-compacted"], "bump-revision"),
        (data + ["another"], "expected one argument"),
        (data + ["--no-such-flag"], "no-such-flag"),
    ]
    for flags, message in cases:
        result = bench.holdfast("restore", snapshot, *flags)
        equal(result.code, EXIT_USAGE, flags, result)
        contains(result.err.replace('\\"', '"'), message)
        contains(result.err, "Error: ")
        check(not (bench.dir / "data").exists(), "a data directory was made", flags)
    nothing = bench.holdfast("restore", "--data-dir", bench.dir / "data")
    equal(nothing.code, EXIT_USAGE, nothing)


def test_what_is_there_is_not_touched(bench):
    snapshot = bench.sample_snapshot(5)
    mine = bench.dir / "mine"
    mine.mkdir()
    (mine / "precious").write_text("x")
    before = tree(bench.dir)
    result = bench.holdfast("restore", snapshot, "--data-dir", mine)
    equal(result.code, EXIT_FAILED, result)
    contains(result.err, f"data-dir {mine} is not empty")
    contains(result.err, "Nothing was changed.")
    a_file = bench.holdfast("restore", snapshot, "--data-dir", mine / "precious")
    check(a_file.code not in (0, 3), a_file)
    contains(a_file.err, str(mine / "precious"))
    equal(tree(bench.dir), before)

    empty = bench.dir / "empty"
    empty.mkdir(mode=0o755)
    equal(bench.holdfast("restore", snapshot, "--data-dir", empty).code, 0)
    equal(oct(empty.stat().st_mode & 0o777), "0o700", "etcd wants its directory private")


def test_bad_snapshots_leave_nothing(bench):
    snapshot = bench.sample_snapshot(20)
    good = snapshot.read_bytes()
    bad = {"empty": b"", "garbage": b"no database" * 5000, "cut": good[:20000], "cut-digest": good[:-1]}
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    bad["flipped"] = bytes(flipped)
    for name, content in bad.items():
        (bench.dir / name).write_bytes(content)
        for more in ([], ["--skip-hash-check"]) if name != "flipped" and name != "cut-digest" else ([],):
            result = bench.holdfast("restore", bench.dir / name, "--data-dir", bench.dir / "data", *more)
            equal(result.code, EXIT_DAMAGED, name, result)
            contains(result.err, str(bench.dir / name))
            check(not (bench.dir / "data").exists(), "left behind by", name)
    missing = bench.holdfast("restore", bench.dir / "none", "--data-dir", bench.dir / "data")
    equal(missing.code, EXIT_FAILED, missing)
    contains(missing.err, f"{bench.dir}/none: no such file or directory")
    directory = bench.holdfast("restore", bench.dir, "--data-dir", bench.dir / "data")
    equal(directory.code, EXIT_USAGE, directory)
    contains(directory.err, "snapshot path must be a file, not a directory")
    check(not (bench.dir / "data").exists(), "left behind")


def test_a_servers_snapshot_says_how_that_server_is_restored(bench):
    server = bench.server().start()
    snapshot = server.save()
    server.stop()
    result = bench.holdfast("restore", snapshot, "--data-dir", bench.dir / "restored")
    equal(result.code, 0, result)
    check(re.search(r"holds bootstrap data of a server \(token hash [0-9a-f]{12}\); that server is restored with "
                    r"server --cluster-reset", result.err), result)
