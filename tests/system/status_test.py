"""`etcd-snapshot status`: the same numbers as etcd's tools, and no damage passes."""
import hashlib
import json
import random
import shutil
import zipfile

from harness import BareEtcd, check, contains, equal, etcd_versions

EXIT_USAGE, EXIT_DAMAGED = 2, 3


def status(bench, path, *flags):
    return bench.holdfast("etcd-snapshot", "status", path, *flags)


def damaged(bench, path, *what):
    """Must be refused as damaged, with the file's name, and without any output."""
    result = status(bench, path)
    equal(result.code, EXIT_DAMAGED, *what, result)
    equal(result.out, "", *what)
    contains(result.err, "Error: ")
    contains(result.err, str(path))
    return result


def busy_snapshot(bench, etcd_dir):
    """With everything a database can hold: versions, tombstones, a compaction, leases, users."""
    etcd = BareEtcd(bench, etcd_dir=etcd_dir).start()
    etcd.fill(250)
    etcd.etcdctl("compaction", str(etcd.revision() - 1))
    for i in range(3):
        lease = etcd.etcdctl("lease", "grant", "3600").split()[1]
        etcd.etcdctl("put", f"/leased/{i}", "x", f"--lease={lease}")
    etcd.etcdctl("user", "add", "root:secret")
    etcd.etcdctl("put", "/large", "y" * 20000)
    etcd.etcdctl("del", "/registry/things/", "--prefix")
    etcd.fill(40)
    path = bench.dir / f"busy-{etcd_dir.parent.name}-{etcd_dir.name}.db"
    etcd.etcdctl("snapshot", "save", path)
    etcd.stop()
    return path


def compressed(bench):
    """A snapshot as RKE2's zip and as zst: {suffix: path}."""
    server = bench.server("packer").start()
    out = {".zip": server.save("--snapshot-compress"), ".zst": server.save("--etcd-snapshot-compression=zstd")}
    server.stop()
    return out


# --- what it says ---

def test_keys_that_are_no_text(bench):
    etcd = BareEtcd(bench).start().wait_ready()
    etcd.etcdctl("put", "/bootstrap/\udcff", "x")  # the byte ff
    path = bench.dir / "odd.db"
    etcd.etcdctl("snapshot", "save", path)
    etcd.stop()
    result = status(bench, path, "-o", "json")
    equal(result.code, 0, result)
    equal(json.loads(result.out)["tokenHashes"], ["\ufffd"])


def test_the_numbers_are_etcds_own(bench):
    for etcd_dir in etcd_versions():
        path = busy_snapshot(bench, etcd_dir)
        ours = json.loads(status(bench, path, "-o", "json").out)
        equal(ours["digest"], "verified")
        for judge in etcd_versions():
            theirs = json.loads(bench.ok(judge / "etcdctl", "snapshot", "status", path, "-w", "json").out)
            equal({k: ours[k] for k in ("hash", "revision", "totalKey", "totalSize")},
                  {k: theirs[k] for k in ("hash", "revision", "totalKey", "totalSize")}, path, "by", judge)
        equal(ours["liveKeys"], 39 + 3 + 1)


def test_table_json_and_yaml(bench):
    snapshot = bench.sample_snapshot(20)
    found = json.loads(status(bench, snapshot, "--output=json").out)
    table = status(bench, snapshot).out.splitlines()
    equal(len(table), 2)
    equal(table[0].split(), "HASH REVISION TOTAL KEYS LIVE KEYS TOTAL SIZE VERSION DIGEST".split())
    row = table[1].split()
    equal(row[0], f"{found['hash']:08x}")
    equal(row[1], str(found["revision"]))
    equal(row[2], str(found["totalKey"]))
    equal(row[-1], "verified")
    yaml = dict(line.split(": ", 1) for line in status(bench, snapshot, "-o", "yaml").out.splitlines() if ": " in line)
    equal(int(yaml["hash"]), found["hash"])
    equal(int(yaml["revision"]), found["revision"])
    wrong = status(bench, snapshot, "-o", "xml")
    equal(wrong.code, EXIT_USAGE)
    contains(wrong.err, "invalid output format: xml")


def test_a_database_copy_without_digest_is_told_apart(bench):
    etcd = BareEtcd(bench).start()
    etcd.fill(30)
    etcd.stop()
    copied = shutil.copy(etcd.data_dir / "member/snap/db", bench.dir / "copied.db")
    result = status(bench, copied, "-o", "json")
    equal(result.code, 0, result)
    equal(json.loads(result.out)["digest"], "none")
    contains(result.err, "level=warning")
    contains(result.err, "has no digest")


def test_compressed_ones_say_the_same(bench):
    server = bench.server().start()
    server.fill(50)
    found = {}
    # Nothing is written between the three, so they hold the same.
    for compression in ("none", "zip", "zstd"):
        path = server.save(f"--etcd-snapshot-compression={compression}", "--name", compression)
        found[compression] = json.loads(status(bench, path, "-o", "json").out)
        equal(found[compression].pop("compression"), compression)
        equal(found[compression].pop("fileSize"), path.stat().st_size)
    equal(found["zip"], found["none"])
    equal(found["zstd"], found["none"])
    server.stop()
    # Whatever the name says, the content counts.
    odd = shutil.copy(path, bench.dir / "without-suffix")
    equal(status(bench, odd).code, 0)
    check(not list((bench.dir).glob(".holdfast-*")), "a scratch file stayed")


# --- what it refuses ---

def test_a_flipped_bit_anywhere(bench):
    good = bench.sample_snapshot(400, value_size=40).read_bytes()
    random.seed(1)
    # Every header of a page, the metas, the digest, the end of the tree, and anywhere.
    offsets = [page + byte for page in range(0, len(good) - 32, 4096) for byte in (0, 8, 12)]
    offsets += [16, 20, 24, 56, 64, 72, 4096 + 20, 4096 + 64, len(good) - 32, len(good) - 1, len(good) - 33]
    offsets += [random.randrange(len(good)) for _ in range(60)]
    path = bench.dir / "flipped"
    for at in offsets:
        data = bytearray(good)
        data[at] ^= 1 << random.randrange(8)
        path.write_bytes(data)
        damaged(bench, path, "bit flipped in byte", at)


def test_what_its_metadata_do_not_describe(bench):
    server = bench.server().start()
    snapshot, other = server.save(), server.save("--name=other")
    server.stop()
    content = bytearray(snapshot.read_bytes())
    # Without its digest no file can say that a value changed; the metadata can.
    content[content.rindex(b"/bootstrap/")] ^= 1
    snapshot.write_bytes(content[:-32])
    contains(damaged(bench, snapshot).err, "is not the snapshot that its metadata describe")
    # Whole, but another one.
    grown = bytearray(other.read_bytes())
    grown[grown.rindex(b"/bootstrap/")] ^= 1
    grown[-32:] = hashlib.sha256(grown[:-32]).digest()
    other.write_bytes(grown)
    contains(damaged(bench, other).err, "they say sha256")


def test_cut_at_any_length(bench):
    good = bench.sample_snapshot(200, value_size=40).read_bytes()
    pages = len(good) // 4096
    lengths = {1, 31, 32, 33, 64, 511, 512, 544, 4095, 4096, 4128, 8191, 8192, 8224}
    lengths |= {len(good) - less for less in (1, 31, 33)}
    lengths |= {page * 4096 + more for page in range(1, pages) for more in (0, 32)}
    path = bench.dir / "cut"
    for length in sorted(lengths):
        path.write_bytes(good[:length])
        damaged(bench, path, "cut to", length, "of", len(good))
    for more in (b"x", b"\0" * 32, good[-32:], good[-512:]):
        path.write_bytes(good + more)
        damaged(bench, path, "with", len(more), "bytes behind it")


def test_what_is_no_snapshot(bench):
    path = bench.dir / "file"
    for content in (b"", b"x", b"no database at all\n" * 1000, b"\0" * 100000, b"PK\x03\x04",
                    b"PK\x03\x04" + b"x" * 1000, b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd" + b"x" * 1000,
                    random.Random(2).randbytes(50000)):
        path.write_bytes(content)
        damaged(bench, path, "content", content[:20])
    directory = status(bench, bench.dir)
    equal(directory.code, EXIT_USAGE, directory)
    contains(directory.err, f"snapshot path must be a file, not a directory: {bench.dir}")
    missing = status(bench, bench.dir / "none")
    check(missing.code == 1, missing)
    contains(missing.err, f"{bench.dir}/none: no such file or directory")
    equal(bench.holdfast("etcd-snapshot", "status").code, EXIT_USAGE)
    equal(bench.holdfast("etcd-snapshot", "status", path, path).code, EXIT_USAGE)


def test_zips_that_are_not_one_snapshot(bench):
    good = bench.sample_snapshot(10).read_bytes()
    cases = {"two": ["a", "b"], "path": ["../../etc/passwd"], "nested": ["dir/snapshot"], "absolute": ["/snapshot"],
             "none": []}
    for name, entries in cases.items():
        path = bench.dir / f"{name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
            for entry in entries:
                z.writestr(entry, good)
        message = "unexpected compressed etcd snapshot contents" if entries else "is not an etcd database"
        contains(damaged(bench, path, name).err, message)
    # One that RKE2 or a person made is fine.
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        path = bench.dir / "one.zip"
        with zipfile.ZipFile(path, "w", method) as z:
            z.writestr("etcd-snapshot-node-1-1753178523", good)
        equal(status(bench, path).code, 0)
    # The digest of what is inside still counts.
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("s", good[:9000] + bytes([good[9000] ^ 1]) + good[9001:])
    contains(damaged(bench, path).err, "expected sha256 [")


def test_damaged_compressed_ones(bench):
    random.seed(3)
    for suffix, path in compressed(bench).items():
        good = path.read_bytes()
        sha256 = json.loads(status(bench, path, "-o", "json").out)["sha256"]
        bad = bench.dir / f"bad{suffix}"
        for length in sorted({1, 4, 30, 100, len(good) // 2, len(good) - 23, len(good) - 5, len(good) - 1}):
            bad.write_bytes(good[:length])
            damaged(bench, bad, suffix, "cut to", length)
        refused = 0
        for at in [random.randrange(len(good)) for _ in range(60)] + list(range(0, 60, 7)):
            data = bytearray(good)
            data[at] ^= 1 << random.randrange(8)
            bad.write_bytes(data)
            result = status(bench, bad, "-o", "json")
            # Some bits mean nothing, such as the time in a zip's header: then the content is what it was.
            if result.code == 0:
                equal(json.loads(result.out)["sha256"], sha256, suffix, "flipped at", at)
            else:
                equal(result.code, EXIT_DAMAGED, suffix, "flipped at", at, result)
                refused += 1
        check(refused > 40, "only", refused, "were refused")
