"""Restore out of a bucket: which snapshot is meant, what others have put there, and tools of others on what we put there."""
import hashlib
import json
import os
import pathlib

import s3_servers
from harness import BIN, BareEtcd, Skip, check, contains, equal, tree
from s3_client import parse_xml
from s3_test import in_s3, objects

S3CMD, AWS = pathlib.Path("/usr/bin/s3cmd"), pathlib.Path("/usr/bin/aws")


def s3cmd(bench, service, *argv):
    config = bench.dir / "s3cfg"
    config.touch()
    return bench.ok(S3CMD, "--config", config, f"--access_key={service.access_key}", f"--secret_key={service.secret_key}", f"--host={service.host}",
                    "--host-bucket=", "--no-ssl", *argv).out


def test_s3cmd_reads_ours_and_we_read_its(bench):
    rgw = s3_servers.Rgw(bench)
    bucket, sample = rgw.bucket(), bench.sample_snapshot(20)
    flags = rgw.flags(bucket, "f")
    server = bench.server().start(*flags)
    server.fill(2000, value_size=10_000)
    name = server.save().name
    s3cmd(bench, rgw, "get", f"s3://backups/f/{name}", bench.dir / "got")
    equal(bench.run("cmp", bench.dir / "got", server.snapshots / name).code, 0)
    contains(s3cmd(bench, rgw, "ls", "s3://backups/f/"), f"s3://backups/f/{name}")
    s3cmd(bench, rgw, "put", sample, "s3://backups/f/theirs-1700000000")
    s3cmd(bench, rgw, "put", "--multipart-chunk-size-mb=5", bench.dir / "got", "s3://backups/f/copy")
    equal(in_s3(server), sorted([name, "theirs-1700000000", "copy"]))
    server.stop()
    for other in ("theirs-1700000000", "copy"):
        restored = bench.holdfast("restore", f"s3://backups/f/{other}", "--data-dir", bench.dir / other, *flags)
        equal(restored.code, 0, restored)
        BareEtcd(bench, data_dir=bench.dir / other).start().wait_ready().stop()


def test_awscli_reads_ours_and_we_read_its(bench):
    if not AWS.exists():
        raise Skip("no awscli")
    rgw = s3_servers.Rgw(bench)
    bucket, sample, config = rgw.bucket(), bench.sample_snapshot(20), bench.dir / "awscfg"
    config.touch()

    def aws(*argv):
        return bench.ok(AWS, "--endpoint-url", rgw.url, "s3", *argv, env={
            "AWS_ACCESS_KEY_ID": rgw.access_key, "AWS_SECRET_ACCESS_KEY": rgw.secret_key, "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(config), "AWS_EC2_METADATA_DISABLED": "true"}).out
    flags = rgw.flags(bucket, "f")
    server = bench.server().start(*flags)
    server.fill(2000, value_size=10_000)
    name = server.save().name
    aws("cp", f"s3://backups/f/{name}", bench.dir / "got")
    equal(bench.run("cmp", bench.dir / "got", server.snapshots / name).code, 0)
    aws("cp", sample, "s3://backups/f/theirs")
    aws("cp", bench.dir / "got", "s3://backups/f/copy")
    equal(in_s3(server), sorted([name, "theirs", "copy"]))
    server.stop()
    for other in ("theirs", "copy"):
        restored = bench.holdfast("restore", f"s3://backups/f/{other}", "--data-dir", bench.dir / other, *flags)
        equal(restored.code, 0, restored)


def rke2_bucket(bench, service, server):
    """What RKE2 leaves in a bucket: a zip of a snapshot of `server`, its metadata, and its headers; and a plain one without."""
    snapshot = server.save()
    token_hash = hashlib.sha256(server.password.encode()).hexdigest()[:12]
    plain, zipped = "etcd-snapshot-cp-1-1700000000", "etcd-snapshot-cp-1-1700018000.zip"
    made = bench.dir / "rke2-made"  # not where a restore looks for files
    made.mkdir()
    copy = made / zipped.removesuffix(".zip")
    copy.write_bytes(snapshot.read_bytes())
    bench.ok("zip", "-q", "-j", made / zipped, copy)
    bucket = service.bucket("rke2")
    about = {"Rke2_Cluster_Id": "5d4f9a52-51c2-4a51-8f0b-0d5b7c1f2a11", "Rke2_Node_Name": "cp-1", "Rke2_Token_Hash": token_hash}
    bucket.put(f"prod/{plain}", snapshot.read_bytes(), **about)
    bucket.put(f"prod/{zipped}", (made / zipped).read_bytes(), **about)
    bucket.put(f"prod/.metadata/{zipped}", json.dumps({"rancher": "backup", "reason": "before the upgrade"}), **about)
    return bucket, plain, zipped, token_hash


def test_a_bucket_of_rke2(bench):
    rgw = s3_servers.Rgw(bench)
    old = bench.server("old").start()
    old.fill(30)
    before, token = old.dump(), old.token
    bucket, plain, zipped, token_hash = rke2_bucket(bench, rgw, old)
    old.stop()
    flags = rgw.flags(bucket, "prod")
    new = bench.server("new")
    listed = new.snapshot("ls", "-o", "json", *flags)
    equal(listed.code, 0, listed)
    items = {item["spec"]["snapshotName"]: item for item in json.loads(listed.out)["items"]}
    equal(sorted(items), [plain, zipped])
    for item in items.values():
        equal(item["spec"]["nodeName"], "cp-1")
        equal(item["metadata"]["annotations"]["etcd.holdfast.io/snapshot-token-hash"], token_hash)
        equal(item["metadata"]["labels"]["etcd.holdfast.io/snapshot-storage-node"], "s3")
    equal(items[zipped]["spec"]["metadata"], {"rancher": "backup", "reason": "before the upgrade"})
    equal([items[n]["status"]["creationTime"] for n in (plain, zipped)], ["2023-11-14T22:13:20Z", "2023-11-15T03:13:20Z"])
    wrong = new.restore(plain, *flags, "--token=wrong")
    check(wrong.code != 0, wrong)
    contains(wrong.err, "token")
    for i, name in enumerate((plain, zipped)):
        host = bench.server(f"new-{i}")
        restored = host.restore(name, *flags, f"--token={token}")
        equal(restored.code, 0, restored)
        host.start(f"--token={token}")
        equal(host.dump(), before)
        host.stop()


def test_under_rke2s_name_the_headers_are_rke2s(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    link = bench.dir / "rke2"
    link.symlink_to(BIN)
    server = bench.server(program=str(link), distribution="rke2").start(*fake.flags(bucket))
    equal(sorted(bucket.head(server.save().name).metadata), ["rke2-cluster-id", "rke2-node-name", "rke2-token-hash"])
    server.stop()


def test_which_snapshot_is_meant(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    flags = fake.flags(bucket, "f")
    server = bench.server().start(*flags)
    server.etcdctl("put", "/which", "both")
    both = server.save().name
    server.etcdctl("put", "/which", "local")
    local = server.save().name
    server.etcdctl("put", "/which", "s3")
    remote = server.save().name
    server.stop()
    bucket.delete(f"f/{local}")
    (server.snapshots / remote).unlink()

    def restored(what, *more):
        result = server.restore(what, *flags, *more)
        equal(result.code, 0, what, result)
        server.start(*flags)
        value = server.etcdctl("get", "/which", "--print-value-only").strip()
        server.stop()
        return value, result.err

    value, told = restored(local)
    equal(value, "local")
    contains(told, f"file://{server.snapshots}/{local}")
    value, told = restored(remote)
    equal(value, "s3")
    contains(told, f"s3://backups/f/{remote}")
    equal(restored(server.snapshots / local)[0], "local")
    equal(restored(f"s3://backups/f/{remote}")[0], "s3")
    equal(restored(f"file://{server.snapshots}/{local}")[0], "local")
    untouched = tree(server.db / "etcd")
    refused = server.restore(both, *flags)
    check(refused.code != 0, refused)
    contains(refused.err, f"s3://backups/f/{both}")
    contains(refused.err, f"file://{server.snapshots}/{both}")
    none = server.restore("nowhere-1", *flags)
    check(none.code != 0, none)
    contains(none.err, "nowhere-1")
    for wrong in ("s3://other-bucket/f/x", "s3://backups/f/none", "s3://", "file:///none", "f/../x"):
        refused = server.restore(wrong, *flags)
        check(refused.code != 0, wrong, refused)
    equal(tree(server.db / "etcd"), untouched)
    equal(restored(f"s3://backups/f/{both}")[0], "both")


def test_what_is_no_snapshot_is_refused(bench):
    rgw = s3_servers.Rgw(bench)
    bucket, sample = rgw.bucket(), bench.sample_snapshot(20).read_bytes()
    flags = rgw.flags(bucket)
    bad = {"text": b"hello", "cut": sample[:-40], "flipped": sample[:5000] + bytes([sample[5000] ^ 1]) + sample[5001:], "bad.zip": b"PK\3\4" + os.urandom(1000),
           "unhashed": sample[:-32]}
    for name, body in bad.items():
        bucket.put(name, body)
        target = bench.dir / ("of-" + name)
        result = bench.holdfast("restore", f"s3://backups/{name}", "--data-dir", target, *flags)
        check(result.code != 0, name, result)
        check(not target.exists(), "left by", name)
        contains(result.err, name)
    bucket.put("good", sample)
    equal(bench.holdfast("restore", "s3://backups/good", "--data-dir", bench.dir / "good", *flags).code, 0)


def test_damage_in_the_bucket_is_found_by_its_metadata(bench):
    """An object that was replaced by another good snapshot is not what our metadata say."""
    fake = s3_servers.Fake(bench)
    bucket, sample = fake.bucket(), bench.sample_snapshot(20)
    server = bench.server().start(*fake.flags(bucket))
    server.fill(20)
    name, token = server.save().name, server.token
    server.stop()
    bucket.put(name, sample.read_bytes())
    host = bench.server("new")
    result = host.restore(name, *fake.flags(bucket), f"--token={token}")
    check(result.code != 0, result)
    contains(result.err, name)


def test_a_bucket_that_others_use_too(bench):
    """Without a folder: what lies in other folders or is hidden is nobody's snapshot, and stays."""
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    for key in ("terraform.tfstate", "logs/a", ".metadata/etcd-snapshot-x-1700000000", ".hidden", "empty", "dir/"):
        bucket.put(key, b"" if key in ("empty", "dir/") else b"x")
    others = set(bucket.list())
    server = bench.server().start(*fake.flags(bucket))
    name = server.save().name
    equal(in_s3(server), sorted([name, "terraform.tfstate"]))
    equal(server.snapshot("prune", "--name=on-demand", "--snapshot-retention=1", "--etcd-s3-retention=1").code, 0)
    equal(objects(bucket, ""), sorted([name, "terraform.tfstate", ".hidden", "empty"]))
    check(others <= set(bucket.list()), "gone:", others - set(bucket.list()))
    equal(parse_xml(bucket.ok("GET", query={"list-type": 2, "prefix": ".metadata/"}).body).findtext("KeyCount"), "2")
    server.stop()
