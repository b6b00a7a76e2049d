"""The main job: save, go on, lose it, restore, and have exactly what was saved. On every etcd that is at hand."""
import hashlib
import json

from harness import check, contains, equal, etcd_versions


def save_and_restore(bench, etcd_dir, *save_flags):
    server = bench.server(f"data-{etcd_dir.parent.name}-{len(save_flags)}", etcd_dir=etcd_dir).start()
    server.fill(120)
    before, revision = server.dump(), server.revision()
    hash_before = server.hash_kv(revision)
    ca_before = hashlib.sha256((server.server_dir / "tls/client-ca.crt").read_bytes()).hexdigest()
    snapshot = server.save(*save_flags)

    server.etcdctl("put", "/later", "x")
    server.etcdctl("del", "/registry/things/000007")
    server.stop()
    result = server.restore(snapshot)
    equal(result.code, 0, result)
    contains(result.err, "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now.")
    contains(result.err, "Pre-restore etcd database moved to ")

    server.start()
    equal(server.dump(), before, "keys after the restore")
    equal(server.revision(), revision, "revision after the restore")
    equal(server.hash_kv(revision), hash_before, "HashKV at the snapshot's revision")
    ca_after = hashlib.sha256((server.server_dir / "tls/client-ca.crt").read_bytes()).hexdigest()
    equal(ca_after, ca_before, "checksum of the CA")
    members = json.loads(server.etcdctl("member", "list", "-w", "json"))["members"]
    equal(len(members), 1)
    check(not (server.db / "reset-flag").exists(), "reset-flag is still there after a normal start")
    server.etcdctl("put", "/after", "works")
    server.stop()


def test_restore_brings_back_exactly_what_was_saved(bench):
    for etcd_dir in etcd_versions():
        save_and_restore(bench, etcd_dir)


def test_zip_restores_too(bench):
    save_and_restore(bench, etcd_versions()[0], "--snapshot-compress")


def test_zstd_restores_too(bench):
    save_and_restore(bench, etcd_versions()[0], "--etcd-snapshot-compression=zstd")


def test_a_new_host_needs_only_the_snapshot_and_the_token(bench):
    old = bench.server("old").start()
    old.fill(30)
    before = old.dump()
    snapshot, token = old.save(), old.token
    ca = (old.server_dir / "tls/server-ca.crt").read_bytes()
    old.stop()

    new = bench.server("new")
    missing = new.restore(snapshot)
    equal(missing.code, 1, missing)
    contains(missing.err, "server/token does not exist, please pass --token to complete the restoration")
    token_file = bench.dir / "token-file"
    token_file.write_text(token + "\n")
    equal(new.restore(snapshot, f"--token-file={token_file}").code, 0)
    new.start()
    equal(new.dump(), before)
    equal((new.server_dir / "tls/server-ca.crt").read_bytes(), ca, "the cluster's CA")
    equal(new.token, token)
    new.stop()
